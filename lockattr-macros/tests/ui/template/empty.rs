use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "")]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
