use lockattr::{Error, distributed_lock};

trait Service {
    #[distributed_lock(key = "k")]
    async fn f(&self) -> Result<(), Error>;
}

fn main() {}
