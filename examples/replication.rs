//! The master is cut off in the middle of a flash sale and goes on answering, and its replica takes its
//! place. Then the master is killed, and comes back as a replica.
//!
//! Look at the overlaps and at the stock. Without a confirmation two shops may have the item at once;
//! then the database refuses the older token, and the stock is right all the same. With
//! `confirm_replicas` no two shops have it at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{io, thread};

use examples::servers::Server;
use lockattr::{Lease, LockPool, RedisOptions};

const STOCK: i64 = 24;
const SHOPS: usize = 4;

/// The database: one row, which knows the greatest token that it has seen.
#[derive(Debug, Default)]
struct Row {
    stock: i64,
    token: u64,
}

#[derive(Debug, Default)]
struct Sale {
    row: Mutex<Row>,
    /// The leases under which shops sell now.
    inside: Mutex<Vec<Lease>>,
    sold: AtomicU32,
    refused: AtomicU32,
    overlaps: AtomicU32,
    unconfirmed: AtomicU32,
}

impl Sale {
    /// `select stock`, if no greater token was seen.
    fn read(&self, token: u64) -> Option<i64> {
        let mut row = self.row.lock().expect("no shop panics");
        row.token = row.token.max(token);
        (row.token == token).then_some(row.stock)
    }

    /// `update item set stock = $1 where token <= $2`
    fn write(&self, stock: i64, token: u64) -> bool {
        let mut row = self.row.lock().expect("no shop panics");
        let is_taken = row.token <= token;
        if is_taken {
            (row.stock, row.token) = (stock, token);
        }
        is_taken
    }

    fn is_over(&self) -> bool {
        self.row.lock().expect("no shop panics").stock == 0
    }

    /// Sells one, like a shop that first reads the stock and later writes it.
    async fn sell(&self, lease: Lease) {
        let others = {
            let mut inside = self.inside.lock().expect("no shop panics");
            let others = inside.iter().filter(|other| other.is_valid()).count();
            inside.push(lease.clone());
            others
        };
        if others > 0 && lease.is_valid() {
            self.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        let token = lease.fencing_token();
        let stock = self.read(token);
        tokio::time::sleep(Duration::from_millis(250)).await;
        if let Some(stock) = stock.filter(|stock| *stock > 0) {
            let is_sold = self.write(stock - 1, token);
            let count = if is_sold { &self.sold } else { &self.refused };
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut inside = self.inside.lock().expect("no shop panics");
        inside.retain(|other| other.fencing_token() != token);
    }

    /// Sells until the stock is sold.
    async fn shop(self: Arc<Self>, pool: LockPool) {
        while !self.is_over() {
            let item = pool.lock("item:hat").ttl(Duration::from_millis(800));
            let sold = item.run(|lease| self.sell(lease)).await;
            if let Err(lockattr::Error::Backend { source, .. }) = sold
                && let lockattr::BackendErrorKind::Unconfirmed { .. } = source.kind()
            {
                self.unconfirmed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Waits until `is` holds. A server that cannot say so now is asked again: at a failover the sentinels end the
/// connections of the new master.
fn until(what: &str, is: impl Fn() -> io::Result<bool>) -> anyhow::Result<()> {
    let mut answer = Ok(false);
    for _ in 0..3000 {
        answer = is();
        if let Ok(true) = answer {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("{what}: it takes too long: {answer:?}")
}

/// Sells the stock, while the master is lost.
async fn sale(confirm_replicas: u8) -> anyhow::Result<Arc<Sale>> {
    // Replica and sentinel log in as a user of their own.
    let common = [
        &["--save", "", "--repl-diskless-sync-delay", "0"][..],
        &["--user", "inner", "on", ">example", "~*", "&*", "+@all"],
        &["--masteruser", "inner", "--masterauth", "example"],
    ]
    .concat();
    let mut master = Server::start(&common)?;
    let port = master.port().to_string();
    let replica = Server::start(&[&common[..], &["--replicaof", "127.0.0.1", &port]].concat())?;
    until("the replica has its copy", || {
        says(&replica, "master_link_status:up")
    })?;
    let sentinel = Server::start_sentinel(master.port())?;
    // The sentinel finds the replica by asking the master.
    until("the sentinel knows the replica", || {
        Ok(sentinel
            .command("SENTINEL REPLICAS shop")?
            .starts_with("*1"))
    })?;

    let sale = Arc::new(Sale::default());
    sale.row.lock().expect("no shop panics").stock = STOCK;
    let url = format!("redis+sentinel://127.0.0.1:{}/shop", sentinel.port());
    let mut shops = Vec::new();
    for _ in 0..SHOPS {
        let options = RedisOptions::new().confirm_replicas(confirm_replicas);
        let builder = LockPool::builder().url(&url).redis(options);
        let pool = builder
            .default_wait(Duration::from_millis(500))
            .build()
            .await?;
        shops.push(tokio::spawn(Arc::clone(&sale).shop(pool)));
    }
    let faults = Arc::clone(&sale);
    let faults =
        tokio::task::spawn_blocking(move || -> anyhow::Result<(Server, Server, Server)> {
            let sold = || i64::from(faults.sold.load(Ordering::Relaxed));
            until("a quarter is sold", || Ok(sold() >= STOCK / 4))?;
            // Cut off from replica and sentinel, but not from the shops.
            master.command("ACL SETUSER default -ping -psync -replconf")?;
            master.command("ACL DELUSER inner")?;
            until("the replica is the master", || {
                says(&replica, "role:master")
            })?;
            master.kill()?;
            // The old master comes back, as a replica.
            master.restart()?;
            master.command(&format!("REPLICAOF 127.0.0.1 {}", replica.port()))?;
            Ok((master, replica, sentinel))
        });
    // Without the servers the shops would go on for ever.
    let selling = async {
        for shop in shops {
            shop.await?;
        }
        Ok(())
    };
    let ((), _servers) = tokio::try_join!(selling, async { faults.await? })?;
    Ok(sale)
}

/// Whether the server says so of its replication.
fn says(server: &Server, what: &str) -> io::Result<bool> {
    Ok(server.command("INFO replication")?.contains(what))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::trace();
    println!("{SHOPS} shops sell {STOCK} hats; the master is lost meanwhile");
    for confirm_replicas in [0, 1] {
        let sale = sale(confirm_replicas).await?;
        let of = |count: &AtomicU32| count.load(Ordering::Relaxed);
        let stock = sale.row.lock().expect("no shop panics").stock;
        println!(
            "confirm_replicas = {confirm_replicas}: {} sold, stock {stock}, {} overlaps, {} writes refused \
             by their token, {} grants not confirmed",
            of(&sale.sold),
            of(&sale.overlaps),
            of(&sale.refused),
            of(&sale.unconfirmed),
        );
        anyhow::ensure!(i64::from(of(&sale.sold)) == STOCK && stock == 0, "oversold");
        let may_overlap = confirm_replicas == 0;
        anyhow::ensure!(may_overlap || of(&sale.overlaps) == 0, "two shops at once");
    }
    Ok(())
}
