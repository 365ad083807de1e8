use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn f() -> Result<u64, Error> {
    let _ = 1;
}

fn main() {}
