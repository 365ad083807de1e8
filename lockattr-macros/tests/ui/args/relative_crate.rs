use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", crate = super::lockattr)]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
