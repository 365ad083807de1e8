use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id}", id = order_id)]
async fn run(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

fn main() {}
