use lockattr::{Error, distributed_lock};

async fn g() {}

#[distributed_lock(key = "k")]
fn f() -> Result<(), Error> {
    g().await;
    Ok(())
}

fn main() {}
