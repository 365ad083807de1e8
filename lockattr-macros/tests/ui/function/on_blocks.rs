use lockattr::distributed_lock;

struct Job;

#[distributed_lock(key = "job")]
impl Job {
    async fn run(&self) {}
}

#[distributed_lock(key = "job")]
pub trait Run {}

#[distributed_lock(key = "job")]
mod inner {}

#[distributed_lock(key = "job")]
pub struct Other;

fn main() {
    #[distributed_lock(key = "job")]
    let job = async { Job };
}
