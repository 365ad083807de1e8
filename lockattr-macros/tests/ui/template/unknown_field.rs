use lockattr::{Error, distributed_lock};

struct Req {
    id: u64,
}

#[distributed_lock(key = "order:{req.idd}")]
async fn f(req: Req) -> Result<u64, Error> {
    Ok(req.id)
}

fn main() {}
