use lockattr::distributed_lock;

#[distributed_lock(key = "k")]
fn f() -> u8 {
    1
}

fn main() {}
