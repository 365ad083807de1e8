//! A process that takes a lock, reports that, and ends in the given way:
//! `worker URL KEY exit|hang|step|starve`.

use std::io::Write as _;
use std::time::Duration;
use std::{env, io, process};

use lockattr::{Error, LockPool, LockRequest};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = env::args().collect();
    let [_, url, key, end] = args.as_slice() else {
        panic!("usage: worker URL KEY exit|hang|step|starve")
    };
    lockattr_tests::trace_to_file();
    let pool = LockPool::builder().url(url).build().await?;
    if end == "starve" {
        return starve(&pool, key).await;
    }
    let request = pool.lock(key.as_str()).ttl(Duration::from_millis(500));
    if end == "step" {
        return step(request).await;
    }
    request
        .run(|_| async {
            say("held");
            match end.as_str() {
                "exit" => process::exit(0),
                _ => std::future::pending().await,
            }
        })
        .await
}

/// Waits for a line of the input before the next step.
async fn step(request: LockRequest) -> Result<(), Error> {
    say("ready");
    hear();
    let guard = request.acquire().await?;
    say("held");
    hear();
    guard.release().await;
    say("released");
    Ok(())
}

/// Limits the process to its present files, and tries to go on when its connection ends.
async fn starve(pool: &LockPool, key: &str) -> Result<(), Error> {
    pool.lock(key).acquire().await?.release().await;
    let usual = getrlimit(Resource::Nofile);
    let limit = |current| {
        let limit = Rlimit { current, ..usual };
        setrlimit(Resource::Nofile, limit).expect("not above the maximum");
    };
    limit(Some(3));
    say("starving");
    hear();
    loop {
        let call = pool.lock(key).wait(Duration::from_millis(200)).acquire();
        match call.await {
            // The connection has not ended yet.
            Ok(guard) => {
                guard.release().await;
            }
            Err(Error::Backend { source, .. }) => {
                say(&format!("{:?}: {source}", source.kind()));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    limit(usual.current);
    pool.lock(key).acquire().await?.release().await;
    say("recovered");
    Ok(())
}

fn hear() {
    io::stdin().read_line(&mut String::new()).expect("a line");
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().expect("somebody listens");
}
