#![deny(warnings)]
use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", bind = lease)]
pub async fn run() -> Result<u64, Error> {
    Ok(1)
}

fn main() {}
