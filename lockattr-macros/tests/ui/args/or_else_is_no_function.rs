use lockattr::distributed_lock;

#[distributed_lock(key = "job", or_else = 0)]
async fn number() -> u8 {
    1
}

#[distributed_lock(key = "job", or_else = (1, 2))]
async fn tuple() -> (u8, u8) {
    (1, 2)
}

#[distributed_lock(key = "job", or_else = None)]
async fn none() -> Option<u8> {
    Some(1)
}

#[distributed_lock(key = "job", or_else = Ok(()))]
async fn ok() -> Result<(), String> {
    Ok(())
}

fn main() {}
