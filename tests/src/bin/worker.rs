//! A process that takes a lock, says so, and ends as it is told:
//! `worker URL KEY exit|hang|starve`.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;
use std::{env, io, process};

use lockattr::{Error, LockPool};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = env::args().collect();
    let [_, url, key, end] = args.as_slice() else {
        panic!("usage: worker URL KEY exit|hang|starve")
    };
    let pool = LockPool::builder().url(url).build().await?;
    if end == "starve" {
        return starve(&pool, key).await;
    }
    pool.lock(key.as_str())
        .ttl(Duration::from_millis(500))
        .run(|_| async {
            say("held");
            match end.as_str() {
                "exit" => process::exit(0),
                _ => std::future::pending().await,
            }
        })
        .await
}

/// Opens all the files there may be, and tries to go on.
async fn starve(pool: &LockPool, key: &str) -> Result<(), Error> {
    pool.lock(key).acquire().await?.release().await;
    let maximum = getrlimit(Resource::Nofile).maximum;
    let few = Rlimit {
        current: Some(64),
        maximum,
    };
    setrlimit(Resource::Nofile, few).expect("fewer are always allowed");
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    say("starving");
    io::stdin().read_line(&mut String::new()).expect("a word");
    // Until the connection is gone, the call may succeed; its file is taken again at once.
    loop {
        let once = pool.lock(key).wait(Duration::from_millis(200)).acquire();
        match once.await {
            Ok(guard) => guard.release().await,
            Err(Error::Backend { source, .. }) => {
                say(&format!("{:?}: {source}", source.kind()));
                break;
            }
            Err(error) => return Err(error),
        }
        files.extend(File::open("/dev/null"));
    }
    drop(files);
    pool.lock(key).acquire().await?.release().await;
    say("recovered");
    Ok(())
}

fn say(line: &str) {
    println!("{line}");
    io::stdout().flush().expect("somebody listens");
}
