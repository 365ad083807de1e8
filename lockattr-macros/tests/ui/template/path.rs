use lockattr::{Error, distributed_lock};

struct Job;

impl Job {
    const QUEUE: &str = "fast";

    #[distributed_lock(key = "job:{Self::QUEUE}")]
    async fn run(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {
    let _ = Job::QUEUE;
}
