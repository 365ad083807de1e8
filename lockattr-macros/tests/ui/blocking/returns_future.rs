use lockattr::{Error, distributed_lock};

#[distributed_lock(key = "k")]
fn f() -> impl Future<Output = Result<(), Error>> {
    async { Ok(()) }
}

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[distributed_lock(key = "k")]
fn g(n: &u8) -> BoxFuture<'_, Result<u8, Error>> {
    Box::pin(async move { Ok(*n) })
}

fn main() {}
