use lockattr::distributed_lock;

#[distributed_lock(key = "a", on_lost = "error")]
async fn value() -> u64 {
    1
}

#[distributed_lock(key = "b", on_lost = "error", on_busy = "skip")]
async fn skips() {}

fn main() {}
