use lockattr::{Error, distributed_lock};

#[distributed_lock(key = concat!(module_path!(), ":{id}"))]
async fn f(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[distributed_lock(key = concat!("order:", "{ids}"))]
async fn misspelt(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {}
