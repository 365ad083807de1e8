use lockattr::{Error, distributed_lock};

struct Receipt;

#[distributed_lock(key = "k", on_busy = "skip")]
async fn f() -> Result<Receipt, Error> {
    Ok(Receipt)
}

fn main() {}
