use lockattr::{Error, distributed_lock};

#[distributed_lock(ttl = "10s")]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
