use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{order.id}")]
async fn f(req: u64) -> Result<u64, Error> {
    Ok(req)
}

fn main() {}
