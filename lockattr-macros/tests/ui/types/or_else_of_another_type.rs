use lockattr::distributed_lock;

#[distributed_lock(key = "k", or_else = |_| "no")]
async fn f() -> u64 {
    1
}

fn main() {}
