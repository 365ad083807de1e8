use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", ttl = "10", wait = "5M", max_hold = "1 parsec")]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
