use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id}")]
#[distributed_lock(key = "user:{id}")]
async fn keys(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = "order:{id}", pool = "a")]
#[distributed_lock(key = "order:{id}", pool = "b")]
async fn pools(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {
    let _ = (keys(1), pools(1));
}
