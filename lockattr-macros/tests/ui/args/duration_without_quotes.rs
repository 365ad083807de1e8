use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", ttl = 10)]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
