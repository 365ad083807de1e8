//! Every process of a fleet migrates the database when it starts: one at a time, and the next one goes on where
//! a process that was killed has stopped.
//!
//! Look at the steps: each is made once, the first ones by the process that is killed (`kill -9`) in the middle
//! of the migration, the others by its successor, under a greater token. Then look at the time between: the
//! lease of a process that is gone ends in etcd, a bit later than its ttl. A process that only fails gives the
//! key back at once.
//!
//! A token protects where it is looked at: the table of the steps refuses a process that was paused and is no
//! longer the latest one.
//!
//! `ETCD_URL` names the cluster; without it, the example starts an etcd of its own.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, process};

use anyhow::Context as _;
use examples::processes::{Worker, finish, start, wait_for_parent};
use lockattr::{LockPool, distributed_lock};
use lockattr_etcd::Etcd;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

const STEPS: [&str; 5] = [
    "create the new table",
    "copy the rows",
    "create an index",
    "drop the old table",
    "rename the new one",
];
/// In the middle of this step the first process is killed.
const LONG: usize = 2;
/// The processes that start later.
const OTHERS: usize = 2;

/// Stands for a database with the table `migration(step, token)`.
struct Database {
    name: String,
    file: PathBuf,
}

impl Database {
    fn new(name: &str) -> Self {
        let (name, file) = (name.to_owned(), env::temp_dir().join(name));
        Self { name, file }
    }

    /// Returns the tokens under which the steps were made.
    fn tokens(&self) -> anyhow::Result<Vec<u64>> {
        let text = fs::read_to_string(&self.file)?;
        Ok(text.lines().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// What the step changes, and its row, in one transaction.
    fn make(&self, step: usize, token: u64) -> anyhow::Result<()> {
        let tokens = self.tokens()?;
        anyhow::ensure!(tokens.len() == step, "step {step} was made already");
        let is_latest = tokens.iter().all(|it| *it <= token);
        anyhow::ensure!(is_latest, "a newer process is at it");
        let mut file = OpenOptions::new().append(true).open(&self.file)?;
        Ok(writeln!(file, "{token}")?)
    }
}

/// Returns how many steps were left to make.
#[distributed_lock(key = "migration:{db.name}", ttl = "2s", wait = "60s", bind = lease)]
async fn migrate(db: &Database, is_killed: bool) -> anyhow::Result<usize> {
    let made = db.tokens()?.len();
    for step in made..STEPS.len() {
        if step == LONG && is_killed {
            spawn_blocking(wait_for_parent).await??;
        }
        db.make(step, lease.fencing_token())?;
    }
    Ok(STEPS.len() - made)
}

/// What a process of the fleet does.
async fn instance(url: &str, db: &Database, is_killed: bool) -> anyhow::Result<()> {
    let pool = LockPool::builder().engine(Etcd::new()).url(url);
    let pool = pool.install().await?;
    if !is_killed {
        wait_for_parent()?;
    }
    println!("{}", migrate(db, is_killed).await?);
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}

/// Starts a process, kills it while others wait for it, and looks at what they do.
async fn fleet(url: &str, db: &Database) -> anyhow::Result<()> {
    let pool = LockPool::builder().engine(Etcd::new()).url(url);
    let pool = pool.build().await?;
    let env = [("ETCD_URL", url)];
    let mut first = start(1, &[&db.name, "true"], &env)?;
    let mut others = start(OTHERS, &[&db.name, "false"], &env)?;
    others.iter_mut().for_each(Worker::go_on);
    let key = lockattr::key!("migration:{}", db.name);
    let waiting = async {
        while pool.queue(key.clone(), OTHERS).await?.len() < OTHERS {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    let waiting = timeout(Duration::from_secs(60), waiting).await;
    waiting.context("the others do not wait")??;
    let step = STEPS[LONG];
    println!(
        "{OTHERS} processes wait for the first one, which is killed in the middle of `{step}`"
    );
    first[0].kill()?;
    let kill = Instant::now();
    let mut made = finish(others)?;
    println!("{:.1?} later the migration is done:", kill.elapsed());

    let tokens = db.tokens()?;
    for (step, token) in STEPS.iter().zip(&tokens) {
        println!("{step:20}  under token {token}");
    }
    let (before, after) = tokens.split_at(LONG);
    anyhow::ensure!(before.iter().all(|it| *it == before[0]), "{tokens:?}");
    anyhow::ensure!(after.iter().all(|it| *it == after[0]), "{tokens:?}");
    anyhow::ensure!(after[0] > before[0], "{tokens:?}");

    made.sort();
    anyhow::ensure!(made == ["0\n", "3\n"], "{made:?}");
    println!("the last process found nothing to do");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::trace();
    let args: Vec<String> = env::args().collect();
    if let ([_, database, is_killed], Ok(url)) = (args.as_slice(), env::var("ETCD_URL")) {
        return instance(&url, &Database::new(database), is_killed.parse()?).await;
    }
    // Kept until the end, because it ends with the value.
    let (_server, url) = if let Ok(url) = env::var("ETCD_URL") {
        println!("the locks are in the cluster that ETCD_URL names");
        (None, url)
    } else {
        println!("ETCD_URL is not set: the locks are in an etcd of this example's own");
        let server = examples::etcd::start()?;
        let url = format!("etcd://127.0.0.1:{}", server.port());
        (Some(server), url)
    };

    let db = Database::new(&format!("lockattr-shop-{}", process::id()));
    fs::write(&db.file, "")?;
    let shown = fleet(&url, &db).await;
    fs::remove_file(&db.file)?;
    shown
}
