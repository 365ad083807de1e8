use lockattr::{Error, distributed_lock};

struct Order;

#[distributed_lock(key = "a", on_busy = |_| 1)]
async fn other_errors_have_no_place() -> u64 {
    1
}

#[distributed_lock(key = "b", on_busy = |_| Ok("no"))]
async fn of_another_type() -> Result<u64, Error> {
    Ok(1)
}

#[distributed_lock(key = "c", on_busy = |_: Error| Ok(1))]
async fn of_another_argument() -> Result<u64, Error> {
    Ok(1)
}

#[distributed_lock(key = "d", on_busy = |_| Ok(drop(order)))]
async fn needs_clone(order: Order) -> Result<(), Error> {
    drop(order);
    Ok(())
}

fn main() {}
