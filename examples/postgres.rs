//! Money in `PostgreSQL`, and the locks in the same database, which refuses a holder that was overtaken.
//!
//! Look at the process that is paused (SIGSTOP) between its look at the balance and its write. Its lease ends,
//! and another process spends the money. When the first one goes on, its transaction is refused and rolled
//! back, so the money is spent once.
//!
//! A ledger only ever grows: it has no row that could remember a token, as in `fenced_write`. So `fence_in`
//! checks the lease, for both accounts: in the transaction that reads, so that no older holder can write after
//! it, and again in the one that writes.
//!
//! The schema of the locks is made on request only (`create_schema`), here by the first process. Where the
//! program may not do that, the statements of `lockattr_postgres::schema_sql` are a migration of your own.
//!
//! `DATABASE_URL` names the database; without it, the example starts a Postgres of its own.

use std::future::{Future, ready};
use std::time::Duration;
use std::{env, process};

use deadpool_postgres::tokio_postgres::{Config, NoTls};
use deadpool_postgres::{Manager, Pool};
use examples::postgres::Postgres as Server;
use examples::processes::{finish, start, wait_for_parent};
use lockattr::{LockPool, LockPoolBuilder, distributed_lock};
use lockattr_postgres::{FenceError, FenceIn as _, Postgres};
use tokio::task::spawn_blocking;

const LEDGER: &str = "CREATE TABLE ledger (account text NOT NULL, amount bigint NOT NULL);
                      INSERT INTO ledger VALUES ('bob', 100);";
const BALANCE: &str = "SELECT coalesce(sum(amount), 0)::bigint FROM ledger WHERE account = $1";
const ADD: &str = "INSERT INTO ledger VALUES ($1, $2)";

/// The accounts, in a schema that is the example's own, as the locks are.
struct Bank {
    db: Pool,
    schema: String,
}

impl Bank {
    fn open(url: &str, schema: &str) -> anyhow::Result<Self> {
        let mut config: Config = url.parse()?;
        config.options(format!("-c search_path={schema}"));
        let db = Pool::builder(Manager::new(config, NoTls)).max_size(4);
        let (db, schema) = (db.build()?, schema.to_owned());
        Ok(Self { db, schema })
    }

    async fn execute(&self, statements: &str) -> anyhow::Result<()> {
        Ok(self.db.get().await?.batch_execute(statements).await?)
    }

    async fn balance(&self, account: &str) -> anyhow::Result<i64> {
        let row = self.db.get().await?.query_one(BALANCE, &[&account]).await?;
        Ok(row.try_get(0)?)
    }
}

/// Returns whether there was enough money. `approval` is what takes time, so no transaction is open meanwhile.
///
/// If the lease is lost, the body runs on (`on_lost = "finish"`): the database decides whether it still counts.
#[distributed_lock(
    keys = ["account:{from}", "account:{to}"],
    ttl = "3s",
    wait = "60s",
    on_lost = "finish",
    bind = lease
)]
async fn transfer(
    bank: &Bank,
    (from, to): (&str, &str),
    amount: i64,
    approval: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<bool> {
    let mut connection = bank.db.get().await?;
    let mut read = connection.transaction().await?;
    // From here on no older holder writes, so what is read stays true.
    lease.fence_in(&mut read, &bank.schema).await?;
    let balance: i64 = read.query_one(BALANCE, &[&from]).await?.try_get(0)?;
    read.commit().await?;
    drop(connection);
    if balance < amount {
        return Ok(false);
    }

    approval.await?;

    let mut connection = bank.db.get().await?;
    let mut write = connection.transaction().await?;
    // Unless a newer holder has read meanwhile.
    lease.fence_in(&mut write, &bank.schema).await?;
    write.execute(ADD, &[&from, &-amount]).await?;
    write.execute(ADD, &[&to, &amount]).await?;
    write.commit().await?;
    Ok(true)
}

/// The other process: it is paused during the approval.
async fn paused(bank: &Bank) -> anyhow::Result<()> {
    let approval = async { Ok(spawn_blocking(wait_for_parent).await??) };
    match transfer(bank, ("bob", "shop"), 80, approval).await {
        Ok(is_done) => println!("paid: {is_done}"),
        Err(error) => match error.downcast_ref() {
            Some(FenceError::Lost) => println!("refused: {error}"),
            _ => return Err(error),
        },
    }
    Ok(())
}

async fn overtaken(bank: &Bank, url: &str) -> anyhow::Result<()> {
    let paused = start(1, &[&bank.schema], &[("DATABASE_URL", url)])?;
    paused[0].pause()?;
    println!("a process that pays 80 of bob's 100 is paused");
    let is_paid = transfer(bank, ("bob", "ann"), 80, ready(Ok(()))).await?;
    println!("its lease has ended, and another one pays 80: {is_paid}");
    paused[0].resume()?;
    let said = finish(paused)?.concat();
    print!("the paused one goes on, {said}");
    anyhow::ensure!(is_paid && said.starts_with("refused"), "{said}");
    let left = bank.balance("bob").await?;
    println!("bob has {left}");
    anyhow::ensure!(left == 20, "spent twice");
    Ok(())
}

/// The locks are beside the ledger.
fn locks(engine: Postgres, url: &str, schema: &str) -> LockPoolBuilder {
    let and = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{and}schema={schema}");
    LockPool::builder().engine(engine).url(url)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::trace();
    if let (Some(schema), Ok(url)) = (env::args().nth(1), env::var("DATABASE_URL")) {
        locks(Postgres::new(), &url, &schema).install().await?;
        return paused(&Bank::open(&url, &schema)?).await;
    }
    // Kept until the end, because it ends with the value.
    let (_server, url) = if let Ok(url) = env::var("DATABASE_URL") {
        println!("the money is in the database that DATABASE_URL names");
        (None, url)
    } else {
        println!("DATABASE_URL is not set: the money is in a PostgreSQL of this example's own");
        let server = Server::start()?;
        let url = server.url();
        (Some(server), url)
    };

    let schema = format!("lockattr_example_{}", process::id());
    let bank = Bank::open(&url, &schema)?;
    let engine = Postgres::new().create_schema(true);
    let pool = locks(engine, &url, &schema).install().await?;
    let shown = async {
        bank.execute(LEDGER).await?;
        overtaken(&bank, &url).await
    };
    let shown = shown.await;
    pool.shutdown(Duration::from_secs(5)).await?;
    let clean = format!("DROP SCHEMA {schema} CASCADE");
    bank.execute(&clean).await?;
    shown
}
