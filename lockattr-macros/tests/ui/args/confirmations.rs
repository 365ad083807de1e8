use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k", confirm_replicas = "1", confirm_fsync = 1)]
async fn of_another_type() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", confirm_replicas = 256)]
async fn too_many() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "k", confirm_replica = 1)]
async fn misspelt() -> Result<(), Error> {
    Ok(())
}

fn main() {}
