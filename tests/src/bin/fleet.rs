//! A process of the fleet in the pictures of the program, see `docs/pictures/make`.
//!
//! Each argument is a call, as `HOW MODE KEY CALLER`: it has the key (`hold`) until the process ends, or again and
//! again (`often`).

use std::time::Duration;

use lockattr::{LockPool, LockRequest};

/// Longer than a picture takes.
const LONG: Duration = Duration::from_secs(600);
/// For how long a call has its key, and then not.
const SHORT: Duration = Duration::from_millis(60);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let builder = LockPool::from_env().expect("the variables are right");
    let pool = builder.build().await.expect("the server is there");
    let calls = std::env::args().skip(1).map(|call| {
        let pool = pool.clone();
        tokio::spawn(async move { play(&pool, &call).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("it holds its key until the process ends");
    }
}

async fn play(pool: &LockPool, call: &str) {
    let parts: Vec<&str> = call.split(' ').collect();
    let [how, mode, key, caller] = parts[..] else {
        panic!("`HOW MODE KEY CALLER` was expected: {call}");
    };
    // Once for the whole process.
    let caller: &'static str = Box::leak(caller.into());
    let request = in_mode(pool.lock(key), mode);
    let request = request
        .ttl(Duration::from_secs(30))
        .wait(LONG)
        .caller(caller);
    loop {
        let guard = request.clone().acquire().await.expect("it waits long");
        if how == "hold" {
            guard.lost().await;
            return;
        }
        tokio::time::sleep(SHORT).await;
        guard.release().await;
        tokio::time::sleep(SHORT).await;
    }
}

/// `exclusive`, `shared`, or permits as `5/2`: how many there are, and the weight.
fn in_mode(request: LockRequest, mode: &str) -> LockRequest {
    let permits = mode.split_once('/');
    match (mode, permits) {
        ("exclusive", _) => request,
        ("shared", _) => request.shared(),
        (_, Some((permits, weight))) => {
            let number = |text: &str| text.parse().expect("a number");
            request.permits(number(permits)).weight(number(weight))
        }
        _ => panic!("no mode: {mode}"),
    }
}
