use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", ttl = "10ms")]
async fn short() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", ttl = "2d")]
async fn long() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", ttl = "0s")]
async fn zero() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "d", ttl = std::time::Duration::from_millis(1))]
async fn constant() -> Result<(), Error> {
    Ok(())
}

fn main() {}
