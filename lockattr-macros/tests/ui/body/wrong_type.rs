use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn f() -> Result<u64, Error> {
    let n: u64 = "text";
    Ok(n)
}

fn main() {}
