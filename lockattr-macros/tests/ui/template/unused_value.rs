use lockattr::{Error, distributed_lock};

#[distributed_lock(key("order:{id}", id = 1, extra = 2))]
async fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
