use lockattr::{Error, distributed_lock};

#[distributed_lock(kee = "k", ttl = "10", on_busy = "maybe")]
const fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
