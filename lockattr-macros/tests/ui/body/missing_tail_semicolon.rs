use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn run() -> Result<u64, Error> {
    Ok(1);
}

fn main() {}
