use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn f(flag: bool) -> Result<u64, Error> {
    if flag {
        return true;
    }
    Ok(1)
}

fn main() {}
