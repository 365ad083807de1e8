use lockattr::{Error, distributed_lock};

#[distributed_lock("order:{order_id}")]
async fn run(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

fn main() {}
