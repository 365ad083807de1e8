//! Constants of generic types stay possible.
use std::time::Duration;

use lockattr::{Error, distributed_lock};

trait Limits {
    const TTL: Duration;
}

struct Short;

impl Limits for Short {
    const TTL: Duration = Duration::from_millis(100);
}

struct Job<L, const SECONDS: u64>(L);

impl<L: Limits, const SECONDS: u64> Job<L, SECONDS> {
    const WAIT: Duration = Duration::from_secs(SECONDS);

    #[distributed_lock(key = "job", ttl = L::TTL, wait = Self::WAIT, max_hold = Duration::from_secs(SECONDS))]
    async fn run(self) -> Result<(), Error> {
        Ok(())
    }

    #[distributed_lock(key = "job", ttl = Duration::from_millis(100 * 3), wait = std::time::Duration::ZERO)]
    async fn checked(self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {
    let _ = (Job::<_, 1>(Short).run(), Job::<_, 1>(Short).checked());
}
