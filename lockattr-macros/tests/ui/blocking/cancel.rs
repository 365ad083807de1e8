use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", on_lost = "cancel")]
fn f() -> Result<(), Error> {
    Ok(())
}

fn main() {}
