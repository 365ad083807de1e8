use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k:{name}")]
async fn f(name: String) -> Result<(), Error> {
    drop(name);
    drop(name);
    Ok(())
}

fn main() {}
