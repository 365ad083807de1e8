use lockattr::{Error, distributed_lock};

#[distributed_lock(keys = ["account:{form}", "account:{to}"])]
async fn misspelt(from: u64, to: u64) -> Result<(), Error> {
    let _ = (from, to);
    Ok(())
}

fn main() {}
