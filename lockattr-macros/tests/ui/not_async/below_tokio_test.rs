use lockattr::{Error, distributed_lock};

#[tokio::test]
#[distributed_lock(key = "k")]
async fn f() -> Result<(), Error> {
    Ok(())
}

#[tokio::main]
#[distributed_lock(key = "k")]
async fn g() -> Result<(), Error> {
    Ok(())
}

fn main() {}
