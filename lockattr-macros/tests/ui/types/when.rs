use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", when = amount)]
async fn number(amount: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", when = amuont > 100)]
async fn misspelt(amount: u64) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", when = amount > 100, bind = lease)]
async fn bound(amount: u64) -> Result<u64, Error> {
    Ok(lease.fencing_token())
}

#[distributed_lock(key = "d", when = drop(text) == ())]
async fn moved(text: String) -> Result<String, Error> {
    Ok(text)
}

#[deny(unused_variables)]
#[distributed_lock(key = "e", when = amount > 100)]
async fn unused(amount: u64, other: u64) -> Result<(), Error> {
    Ok(())
}

fn main() {}
