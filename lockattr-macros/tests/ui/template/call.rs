use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id.len()}")]
async fn f(id: String) -> Result<usize, Error> {
    Ok(id.len())
}

fn main() {}
