use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn f(order_id: u64) -> Result<u64, Error> {
    Ok(ordr_id)
}

fn main() {}
