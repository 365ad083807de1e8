use lockattr::distributed_lock;

struct Order;

impl Order {
    fn refused(&self) -> u64 {
        0
    }
}

#[distributed_lock(key = "k", or_else = |_| order.refused())]
async fn f(order: Order) -> u64 {
    drop(order);
    1
}

fn main() {}
