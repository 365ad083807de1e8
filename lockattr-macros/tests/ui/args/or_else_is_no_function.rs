use lockattr::distributed_lock;

#[distributed_lock(key = "job", or_else = 0)]
async fn number() -> u8 {
    1
}

#[distributed_lock(key = "job", or_else = (1, 2))]
async fn tuple() -> (u8, u8) {
    (1, 2)
}

fn main() {}
