use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id:w$}")]
async fn f(id: u64, w: usize) -> Result<usize, Error> {
    let _ = id;
    Ok(w)
}

fn main() {}
