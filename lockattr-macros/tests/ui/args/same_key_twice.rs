use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id}")]
#[distributed_lock(key = "order:{id}", ttl = "10s")]
async fn twice(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[lockattr::distributed_lock(key("order:{n}", n = id + 1), pool = "a")]
#[lockattr::distributed_lock(key("order:{n}", n = id + 1), pool = "a")]
async fn in_one_pool(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {}
