use lockattr::distributed_lock;

#[distributed_lock(key = "k")]
struct S;

#[distributed_lock(key = "k")]
mod m {}

fn main() {}
