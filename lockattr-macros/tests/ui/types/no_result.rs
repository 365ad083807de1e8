use lockattr::distributed_lock;

#[distributed_lock(key = "k")]
async fn f() -> u64 {
    1
}

fn main() {}
