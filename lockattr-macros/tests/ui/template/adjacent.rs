use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "{a}{b}")]
async fn f(a: u64, b: u64) -> Result<u64, Error> {
    Ok(a + b)
}

#[distributed_lock(key = "{a}0{b}")]
async fn g(a: u64, b: u64) -> Result<u64, Error> {
    Ok(a + b)
}

fn main() {}
