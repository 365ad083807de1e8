//! The configuration of a fleet: all processes read it together, it changes while nobody reads, and no more than
//! two processes at a time restart with the new one.
//!
//! Look at the versions: the configuration has two parts, and no process sees the old one of one part beside the
//! new one of the other. A reader that comes after the writer waits behind it, so the writer has its turn however
//! many read. Then look at the restarts (`permits = 2`): `+` is the beginning of one, `-` its end.
//!
//! `ZOOKEEPER_URL` names the ensemble; without it, the example starts a `ZooKeeper` of its own. A ttl may be half as
//! long as the ensemble's `maxSessionTimeout` at most.

use std::fs::{self, OpenOptions};
use std::future::{Future, ready};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{env, process};

use examples::processes::{finish, start, wait_for_parent};
use lockattr::{LockPool, distributed_lock};
use lockattr_zookeeper::ZooKeeper;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const PROCESSES: usize = 5;
/// All calls of the key use the same number.
const AT_ONCE: u32 = 2;

/// A folder with the two parts of the configuration, and a log of the restarts.
#[derive(Clone)]
struct Fleet {
    name: String,
    parts: [PathBuf; 2],
    log: PathBuf,
}

impl Fleet {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(name);
        Self {
            name: name.to_owned(),
            parts: ["routes", "limits"].map(|part| folder.join(part)),
            log: folder.join("restarts"),
        }
    }

    /// Returns the version of both parts.
    fn version(&self) -> anyhow::Result<String> {
        let [one, other] = self.parts.each_ref().map(fs::read_to_string);
        let (one, other) = (one?, other?);
        anyhow::ensure!(one == other, "parts of two versions: {one} and {other}");
        Ok(one)
    }

    fn add_to_log(&self, happened: &str) -> anyhow::Result<()> {
        let mut log = OpenOptions::new().append(true).open(&self.log)?;
        Ok(log.write_all(happened.as_bytes())?)
    }
}

#[distributed_lock(key = "config:{fleet.name}", shared = true, ttl = "5s", wait = "60s")]
async fn read(
    fleet: &Fleet,
    meanwhile: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<String> {
    let version = fleet.version()?;
    meanwhile.await?;
    anyhow::ensure!(version == fleet.version()?, "it changed meanwhile");
    Ok(version)
}

#[distributed_lock(key = "config:{fleet.name}", ttl = "5s", wait = "60s")]
async fn change(fleet: &Fleet, version: &str) -> anyhow::Result<()> {
    for part in &fleet.parts {
        fs::write(part, version)?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Returns the version that it has then.
#[distributed_lock(key = "restart:{fleet.name}", permits = AT_ONCE, ttl = "5s", wait = "60s")]
async fn restart(fleet: &Fleet) -> anyhow::Result<String> {
    fleet.add_to_log("+")?;
    let version = read(fleet, ready(Ok(()))).await?;
    sleep(Duration::from_millis(50)).await;
    fleet.add_to_log("-")?;
    Ok(version)
}

fn pool(url: &str) -> lockattr::LockPoolBuilder {
    // An ensemble as it is installed keeps no lease for longer than 20 s.
    let builder = LockPool::builder().default_ttl(Duration::from_secs(10));
    builder.engine(ZooKeeper::new()).url(url)
}

/// What a process of the fleet does.
async fn instance(url: &str, fleet: &Fleet) -> anyhow::Result<()> {
    let pool = pool(url).install().await?;
    // It goes on reading until the parent has seen all of them at it.
    let all_read = async { Ok(spawn_blocking(wait_for_parent).await??) };
    let before = read(fleet, all_read).await?;
    let after = restart(fleet).await?;
    println!("{before} {after}");
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

async fn deploy(url: &str, fleet: &Fleet) -> anyhow::Result<()> {
    let pool = pool(url).install().await?;
    change(fleet, "1").await?;
    let instances = start(PROCESSES, &[&fleet.name], &[("ZOOKEEPER_URL", url)])?;
    println!("{PROCESSES} processes read version 1, all at the same time");

    let new = fleet.clone();
    let writer = tokio::spawn(async move { change(&new, "2").await });
    let key = lockattr::key!("config:{}", fleet.name);
    while pool.queue(key.clone(), 1).await?.is_empty() {
        anyhow::ensure!(!writer.is_finished(), "it wrote beside readers");
        sleep(Duration::from_millis(10)).await;
    }
    println!("the writer of version 2 waits for them");
    // What they read next is behind the writer.
    let said = finish(instances)?;
    writer.await??;
    println!("they had version 1 to the end, and restarted with version 2");
    anyhow::ensure!(said == ["1 2\n"; PROCESSES], "{said:?}");

    let restarts = fs::read_to_string(&fleet.log)?;
    println!("the restarts, no more than {AT_ONCE} at a time: {restarts}");
    anyhow::ensure!(restarts.len() == 2 * PROCESSES, "{restarts}");
    let mut away = 0;
    for happened in restarts.chars() {
        away += if happened == '+' { 1 } else { -1 };
        anyhow::ensure!((0..=AT_ONCE.cast_signed()).contains(&away), "{restarts}");
    }
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::trace();
    if let (Some(name), Ok(url)) = (env::args().nth(1), env::var("ZOOKEEPER_URL")) {
        return instance(&url, &Fleet::new(&name)).await;
    }
    // Kept until the end, because it ends with the value.
    let (_server, url) = if let Ok(url) = env::var("ZOOKEEPER_URL") {
        println!("the locks are in the ensemble that ZOOKEEPER_URL names");
        (None, url)
    } else {
        println!("ZOOKEEPER_URL is not set: the locks are in a ZooKeeper of this example's own");
        let server = examples::zookeeper::start()?;
        let url = format!("zookeeper://127.0.0.1:{}", server.port());
        (Some(server), url)
    };

    let name = format!("lockattr-fleet-{}", process::id());
    let folder = env::temp_dir().join(&name);
    fs::create_dir(&folder)?;
    let fleet = Fleet::new(&name);
    fs::write(&fleet.log, "")?;
    let shown = deploy(&url, &fleet).await;
    fs::remove_dir_all(&folder)?;
    shown
}
