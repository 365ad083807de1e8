use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", weight = 2)]
async fn weight_of_what() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", permits = 2, weight = 3)]
async fn heavy() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", permits = 0)]
async fn none() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "d", permits = 2, weight = 0)]
async fn weightless() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "e", shared = true, permits = 2)]
async fn both() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "f", permits = "5")]
async fn quoted() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "g", permits = -5)]
async fn negative() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "h", permits = 4294967296)]
async fn many() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "i", permits = n)]
async fn argument(n: u32) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "j", shared = "yes")]
async fn no_switch() -> Result<(), Error> {
    Ok(())
}

fn main() {}
