use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", when = true)]
async fn always() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", when = false)]
async fn never() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", when = "amount > 100")]
async fn text(amount: u64) -> Result<(), Error> {
    Ok(())
}

fn main() {}
