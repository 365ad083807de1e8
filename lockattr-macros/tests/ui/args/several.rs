use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "a", bind = lease)]
#[distributed_lock(key = "b", bind = lease)]
async fn one_name() -> Result<u64, Error> {
    Ok(lease.fencing_token())
}

#[distributed_lock(key = "a:{id}")]
#[distributed_lock(key = "b:{idd}", tll = "1s")]
#[distributed_lock(ttl = "1s")]
async fn mistakes_below(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = "a", tll = "1s")]
#[distributed_lock(key = "b:{id.x}")]
async fn mistakes_above(id: (u64, u64)) -> Result<u64, Error> {
    Ok(id.0)
}

#[distributed_lock(key = "a")]
#[distributed_lock]
async fn without_options() -> Result<u64, Error> {
    Ok(1)
}

fn main() {}
