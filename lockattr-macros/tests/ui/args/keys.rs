use lockattr::{Error, distributed_lock};

#[distributed_lock(keys = "account:{from}")]
async fn no_list(from: u64) -> Result<(), Error> {
    let _ = from;
    Ok(())
}

#[distributed_lock(keys = [])]
async fn none() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(keys = ["account:{from}", "account:{from}"])]
async fn twice(from: u64) -> Result<(), Error> {
    let _ = from;
    Ok(())
}

#[distributed_lock(key = "ledger", keys = ["account:{from}"])]
async fn both(from: u64) -> Result<(), Error> {
    let _ = from;
    Ok(())
}

#[distributed_lock(keys = ["account:{from}", "account:{to}"])]
#[distributed_lock(key = "account:{to}")]
async fn waits_for_itself(from: u64, to: u64) -> Result<(), Error> {
    let _ = (from, to);
    Ok(())
}

fn main() {}
