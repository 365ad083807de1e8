use lockattr::{Error, distributed_lock};

/// # Safety
///
/// None is needed; the point is the signature.
#[distributed_lock(key = "k")]
pub async unsafe fn run() -> Result<(), Error> {
    Ok(())
}

fn main() {}
