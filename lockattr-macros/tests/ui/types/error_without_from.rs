use lockattr::distributed_lock;

struct Mine;

#[distributed_lock(key = "k")]
async fn f() -> Result<u64, Mine> {
    Ok(1)
}

fn main() {}
