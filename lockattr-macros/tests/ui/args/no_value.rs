use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", ttl = , wait)]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
