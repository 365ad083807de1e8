use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
const fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
