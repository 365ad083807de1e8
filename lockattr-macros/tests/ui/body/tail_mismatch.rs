use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn run(tail: Result<u8, Error>) -> Result<u64, Error> {
    tail
}

fn main() {}
