use lockattr::{Error, distributed_lock};

struct Opaque;

#[distributed_lock(key = "order:{value}")]
async fn f(value: Opaque) -> Result<(), Error> {
    let _ = value;
    Ok(())
}

fn main() {}
