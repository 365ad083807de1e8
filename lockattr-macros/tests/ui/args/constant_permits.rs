use lockattr::{Error, distributed_lock};

mod limits {
    pub const NONE: u32 = 0;
    pub const TWO: u32 = 2;
    pub const SMALL: u8 = 2;
}

#[distributed_lock(key = "a", permits = limits::NONE)]
async fn none() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "b", permits = limits::TWO, weight = 3)]
async fn heavy() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "c", permits = limits::SMALL)]
async fn other_type() -> Result<(), Error> {
    Ok(())
}

fn main() {}
