//! What a key costs: `cargo bench -p benches --bench key`, with allocations.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use divan::{AllocProfiler, Bencher};
use lockattr::{Error, LockPool, distributed_lock};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[distributed_lock(key = "order:{id}", reentrant = true)]
async fn annotated(id: u64) -> Result<u64, Error> {
    Ok(id)
}

/// The lower bound: the same text without a key.
#[divan::bench]
fn format_alone(bencher: Bencher) {
    bencher.bench(|| format!("order:{}", divan::black_box(42_u64)));
}

/// A call inside its own lock: its key is built and found, and nothing is sent.
#[divan::bench]
fn annotated_nested_call(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let pool = runtime
        .block_on(LockPool::memory())
        .expect("memory is there");
    let nested = pool.lock("order:42").run(|_| async {
        bencher.bench_local(|| {
            let call = annotated(divan::black_box(42));
            poll_once(call).expect("it is held")
        });
    });
    runtime
        .block_on(pool.scope(nested))
        .expect("memory is there");
}

/// Returns the future's output at its first poll.
fn poll_once<F: Future>(future: F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a nested call does not wait"),
    }
}
