#![deny(dead_code)]
use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn run(order_id: u64) -> Result<(), Error> {
    Ok(())
}

pub struct Order;

impl Order {
    #[distributed_lock(key = "k")]
    async fn method(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
