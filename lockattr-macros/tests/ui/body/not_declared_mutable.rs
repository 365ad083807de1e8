use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn f((rows, row): (Vec<u64>, u64), count: u64) -> Result<(), Error> {
    rows.push(row);
    count = 1;
    Ok(())
}

fn main() {}
