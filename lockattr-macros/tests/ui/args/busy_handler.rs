use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", on_busy = None)]
async fn value() -> Option<u8> {
    None
}

#[distributed_lock(key = "b", on_busy = "later")]
async fn choice() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", on_busy = |_| Ok(()), wait = "forever")]
async fn never_busy() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "d", on_lost = "ignore")]
async fn lost() -> Result<(), Error> {
    Ok(())
}

fn main() {}
