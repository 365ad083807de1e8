use lockattr::{Error, distributed_lock};

#[distributed_lock(key = Some(id))]
async fn f(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {}
