use std::time::Duration;

use lockattr::{Error, distributed_lock};

struct Job {
    ttl: Duration,
}

impl Job {
    #[distributed_lock(key = "job", ttl = self.ttl)]
    async fn field(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[distributed_lock(key = "job", wait = wait)]
async fn argument(wait: Duration) -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "job", max_hold = Duration::from_secs(seconds))]
async fn computed(seconds: u64) -> Result<(), Error> {
    Ok(())
}

fn main() {}
