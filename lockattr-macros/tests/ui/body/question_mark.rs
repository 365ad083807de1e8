use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn run(text: &str) -> Result<u64, Error> {
    Ok(text.parse::<u64>()?)
}

fn main() {}
