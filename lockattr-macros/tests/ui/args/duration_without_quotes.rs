use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", ttl = 10)]
async fn f() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", ttl = 10s, wait = 1m30s, max_hold = 1.5h)]
async fn unquoted() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", ttl = true, wait = -5, max_hold = 10u32)]
async fn no_duration() -> Result<(), Error> {
    Ok(())
}

fn main() {}
