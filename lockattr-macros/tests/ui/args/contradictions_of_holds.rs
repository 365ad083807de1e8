use std::time::Duration;

use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", min_hold = "11s", ttl = "10s", renew = false)]
async fn longer_than_the_lease() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", min_hold = "2m", max_hold = "1m")]
async fn longer_than_max_hold() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", min_hold_on_failure = true)]
async fn nothing_to_count() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "d", min_hold = "0s")]
async fn zero() -> Result<(), Error> {
    Ok(())
}

const MINUTE: Duration = Duration::from_secs(60);

#[distributed_lock(key = "e", min_hold = MINUTE, max_hold = "30s")]
async fn constant() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "f", min_hold = MINUTE, ttl = "30s", renew = false)]
async fn constant_without_renewal() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "g", ttl = MINUTE, max_hold = "30s")]
async fn constant_ttl() -> Result<(), Error> {
    Ok(())
}

fn main() {}
