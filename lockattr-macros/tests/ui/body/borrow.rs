use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
async fn run(list: &mut Vec<u64>) -> Result<u64, Error> {
    let first = &list[0];
    list.push(1);
    Ok(*first)
}

fn main() {}
