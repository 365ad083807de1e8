#![deny(warnings)]
use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
pub async fn run(never: u64) -> Result<u64, Error> {
    let unused = 1;
    Ok(1)
}

fn main() {}
