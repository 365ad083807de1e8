use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", ttl = "10s", max_hold = "5s")]
async fn shorter() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", renew = false, max_hold = "5s")]
async fn without_renewal() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", wait = "forever", on_busy = "skip")]
async fn never_skips() -> Result<(), Error> {
    Ok(())
}

fn main() {}
