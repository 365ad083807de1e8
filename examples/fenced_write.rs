//! The fenced write on a real Postgres: the row refuses a holder that is no longer the latest.
//!
//! Look at the order of the sales: it is the order of the tokens. Then look at the shop whose lock is taken
//! away in the middle of a sale: another shop sells under a greater token, and after that the database
//! changes no row for the first one.
//!
//! The lock is around the transaction: it is released after the commit, so the next shop sees what this one
//! did. The `UPDATE` alone would keep the stock right; the lock is for what else belongs to a sale and is not
//! in the database, such as a payment.
//!
//! With sea-orm it is the same statement: `Entity::update_many()` with a `col_expr` for each of the two columns,
//! the three conditions as filters, and `rows_affected` of its result. With diesel-async it is
//! `diesel::update(stock.filter(…)).set(…)`, whose `execute` returns the number of rows. Do not load the row,
//! change it and save it: that writes without asking for the token.
//!
//! `DATABASE_URL` names the database; without it, the example starts a Postgres of its own.

use std::future::{Future, ready};
use std::{env, process};

use deadpool_postgres::tokio_postgres::{Config, NoTls};
use deadpool_postgres::{Manager, Pool};
use examples::postgres::Postgres;
use lockattr::{LockPool, distributed_lock};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const STOCK: i32 = 10;
const BUYERS: usize = 30;

const SELL: &str = "UPDATE stock SET left_over = left_over - 1, fence = $1 \
                    WHERE item = $2 AND left_over > 0 AND fence <= $1 \
                    RETURNING left_over";

/// What the database did for a buyer.
#[derive(Debug)]
struct Outcome {
    token: i64,
    /// `None` if no row was changed: sold out, or the row has seen a greater token.
    left_over: Option<i32>,
}

/// Sells one, after what the shop does before that.
///
/// If the lease is lost, the body runs on (`on_lost = "finish"`): the database decides whether it still counts.
#[distributed_lock(key = "item:{item}", ttl = "10s", wait = "60s", on_lost = "finish", bind = lease)]
async fn sell(db: &Pool, item: &str, before: impl Future<Output = ()>) -> anyhow::Result<Outcome> {
    before.await;
    // PostgreSQL has no unsigned type; tokens are far below the limit of a `bigint`.
    let token = i64::try_from(lease.fencing_token())?;
    // Shops that wait for the lock hold no connection.
    let mut connection = db.get().await?;
    let transaction = connection.transaction().await?;
    let row = transaction.query_opt(SELL, &[&token, &item]).await?;
    let left_over = row.map(|row| row.try_get(0)).transpose()?;
    transaction.commit().await?;
    Ok(Outcome { token, left_over })
}

/// Many buyers want the hat at once.
async fn rush(db: &Pool) -> anyhow::Result<()> {
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        let db = db.clone();
        buyers.spawn(async move { sell(&db, "hat", ready(())).await });
    }
    let mut sales = Vec::new();
    while let Some(outcome) = buyers.join_next().await {
        let Outcome { token, left_over } = outcome??;
        sales.extend(left_over.map(|left_over| (token, left_over)));
    }
    sales.sort_unstable();
    for (token, left_over) in &sales {
        println!("a hat sold under token {token}, {left_over} left");
    }
    println!("{} of {BUYERS} buyers have a hat", sales.len());
    let left: Vec<i32> = sales.iter().map(|(_, left_over)| *left_over).collect();
    anyhow::ensure!(left == (0..STOCK).rev().collect::<Vec<_>>(), "{left:?}");
    Ok(())
}

/// A shop is stuck in the middle of a sale, its lock is taken away, and another shop sells.
async fn stale_shop(pool: &LockPool, db: &Pool) -> anyhow::Result<()> {
    let (begins, has_begun) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel();
    let shop = db.clone();
    let stuck = tokio::spawn(async move {
        let stuck = async {
            let _ = begins.send(());
            let _ = goes_on.await;
        };
        sell(&shop, "scarf", stuck).await
    });
    has_begun.await?;
    let is_taken_away = pool.force_release(lockattr::key!("item:{}", "scarf"));
    anyhow::ensure!(is_taken_away.await?, "the stuck shop had no lock");

    let other = examples::other_process().await?;
    let sold = other.scope(sell(db, "scarf", ready(()))).await?;
    println!("the other shop: {sold:?}");
    anyhow::ensure!(sold.left_over == Some(STOCK - 1), "{sold:?}");

    let _ = go_on.send(());
    let refused = stuck.await??;
    println!("the stuck shop: {refused:?}");
    anyhow::ensure!(refused.token < sold.token, "{refused:?}");
    anyhow::ensure!(refused.left_over.is_none(), "a stale sale: {refused:?}");

    let row = "SELECT left_over, fence FROM stock WHERE item = 'scarf'";
    let row = db.get().await?.query_one(row, &[]).await?;
    let (left_over, fence): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
    println!("the row: {left_over} left, fence {fence}");
    anyhow::ensure!((left_over, fence) == (STOCK - 1, sold.token));
    Ok(())
}

/// Makes the table, in a schema of its own: the database may have another one of this name.
async fn open(mut config: Config, schema: &str) -> anyhow::Result<Pool> {
    config.options(format!("-c search_path={schema}"));
    let db = Pool::builder(Manager::new(config, NoTls))
        .max_size(4)
        .build()?;
    let tables = format!(
        "CREATE SCHEMA {schema};
         CREATE TABLE stock (
             item text PRIMARY KEY,
             left_over int NOT NULL,
             fence bigint NOT NULL DEFAULT 0
         );
         INSERT INTO stock (item, left_over) VALUES ('hat', {STOCK}), ('scarf', {STOCK});"
    );
    db.get().await?.batch_execute(&tables).await?;
    Ok(db)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    // Kept until the end, because it ends with the value.
    let (_server, url) = if let Ok(url) = env::var("DATABASE_URL") {
        println!("the stock is in the database that DATABASE_URL names");
        (None, url)
    } else {
        println!("DATABASE_URL is not set: the stock is in a PostgreSQL of this example's own");
        let server = Postgres::start()?;
        let url = server.url();
        (Some(server), url)
    };

    let schema = format!("lockattr_example_{}", process::id());
    let db = open(url.parse()?, &schema).await?;
    let shown = async {
        rush(&db).await?;
        stale_shop(&pool, &db).await
    };
    let shown = shown.await;
    let clean = format!("DROP SCHEMA {schema} CASCADE");
    db.get().await?.batch_execute(&clean).await?;
    shown
}
