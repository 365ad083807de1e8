use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "{tenant}:{order_idd}")]
async fn run(tenant: &str, order_id: u64) -> Result<(), Error> {
    Ok(())
}

fn main() {}
