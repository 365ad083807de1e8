use lockattr::{Error, distributed_lock};

struct Req {
    id: u64,
}

#[distributed_lock(key = "order:{req.id}:{tenent}")]
async fn f(req: Req, tenant: u8) -> Result<u64, Error> {
    let _ = tenant;
    Ok(req.id)
}

fn main() {}
