use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", tll = "10s", timeout = "1s", colour = "red")]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
