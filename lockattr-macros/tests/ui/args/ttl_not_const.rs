use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", ttl = ttl)]
async fn f(ttl: std::time::Duration) -> Result<(), Error> {
    let _ = ttl;
    Ok(())
}

fn main() {}
