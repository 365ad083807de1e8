use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "order:{id}")]
async fn f(id: Option<u64>) -> Result<(), Error> {
    let _ = id;
    Ok(())
}

fn main() {}
