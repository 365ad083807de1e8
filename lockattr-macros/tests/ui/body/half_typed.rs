use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k:{order}")]
async fn f(order: String) -> Result<usize, Error> {
    let n = order.
}

fn main() {}
