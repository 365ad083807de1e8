#![deny(warnings)]
use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn never_called() -> Result<(), Error> {
    let unused = 1;
    Ok(())
}

#[distributed_lock(key = "k:{used_in_the_key_only}")]
async fn f(used_in_the_key_only: u64) -> Result<(), Error> {
    return Ok(());
    #[allow(unreachable_code)]
    Ok(())
}

pub fn g() {
    drop(f(1));
}

fn main() {}
