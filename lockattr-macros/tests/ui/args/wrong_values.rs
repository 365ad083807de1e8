use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", renew = "true", on_lost = cancel, on_busy = "ignore", reentrant = 1)]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
