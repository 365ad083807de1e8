//! A process that takes a lock, says so, and ends as it is told: `worker URL KEY exit|hang`.

use std::io::Write as _;
use std::time::Duration;
use std::{env, process};

use lockattr::LockPool;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lockattr::Error> {
    let args: Vec<String> = env::args().collect();
    let [_, url, key, end] = args.as_slice() else {
        panic!("usage: worker URL KEY exit|hang")
    };
    lockattr_tests::trace_to_file();
    let pool = LockPool::builder().url(url).build().await?;
    pool.lock(key.as_str())
        .ttl(Duration::from_millis(500))
        .run(|_| async {
            println!("held");
            std::io::stdout().flush().expect("somebody listens");
            match end.as_str() {
                "exit" => process::exit(0),
                _ => std::future::pending().await,
            }
        })
        .await
}
