use lockattr::{Error, distributed_lock};

struct Order {
    id: Option<u64>,
}

#[distributed_lock(key = "order:{order.id}", ttl = "10s")]
async fn f(order: Order) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key("order:{id}:{order.id:?}", id = order.id), ttl = "10s")]
async fn value(order: Order) -> Result<(), Error> {
    Ok(())
}

fn main() {}
