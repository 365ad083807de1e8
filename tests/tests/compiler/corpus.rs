//! Functions with and without mistakes, for `main.rs`: linted with the attribute and without.

use std::fmt::Display;
use std::sync::Arc;

use lockattr::Error;

pub struct Path<T>(pub T);

pub struct Ledger {
    pub id: u64,
    pub rows: Vec<u64>,
}

async fn step(n: u64) -> Result<u64, Error> {
    std::future::ready(Ok(n)).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k:{order_id}", ttl = "10s"))]
pub async fn tail(order_id: u64) -> Result<u64, Error> {
    step(order_id).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k", or_else = |_| ()))]
pub async fn unit(order_id: u64) {
    drop(step(order_id).await);
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k", or_else = |_| ()))]
pub async fn unit_without_semicolon(order_id: u64) {
    drop(step(order_id).await)
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn needless_return(order_id: u64) -> Result<u64, Error> {
    let n = step(order_id).await?;
    return Ok(n);
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k", bind = lease))]
pub async fn with_statements(order_id: u64, name: String) -> Result<usize, Error> {
    #[cfg(locked)]
    let token = lease.fencing_token();
    #[cfg(not(locked))]
    let token = u64::MIN;
    let n = step(order_id).await?;
    if n == token {
        return Ok(0);
    }
    for c in name.chars() {
        println!("{c}");
    }
    Ok(name.len())
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn with_items(order_id: u64) -> Result<u64, Error> {
    const MORE: u64 = 1;
    fn add(n: u64) -> u64 {
        n.wrapping_add(MORE)
    }
    Ok(add(step(order_id).await?))
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn items_late(order_id: u64) -> Result<u64, Error> {
    let n = step(order_id).await?;
    const LATE: u64 = 1;
    Ok(n.wrapping_add(LATE))
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn unused(order_id: u64, unused_argument: u64) -> Result<u64, Error> {
    let unused_local = 1;
    let mut never_changed = 2;
    step(never_changed).await?;
    step(order_id).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn assigned(mut count: u64, mut other: u64) -> Result<u64, Error> {
    count = 1;
    other = 2;
    count = 3;
    step(count).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn shadows(n: u64, name: &str) -> Result<u64, Error> {
    let n = n;
    let n = step(n).await?;
    let name = name.trim();
    step(n.wrapping_add(name.len() as u64)).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k:{id}"))]
pub async fn patterns(Path(id): Path<u64>, (a, _): (u64, u64), _: u64) -> Result<u64, Error> {
    step(id.wrapping_add(a)).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn by_value(name: String, rows: Vec<u64>, shared: Arc<u64>) -> Result<u64, Error> {
    step(name.len() as u64).await?;
    step(rows.len() as u64).await?;
    step(*shared).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn by_mut_ref(rows: &mut Vec<u64>, name: &String) -> Result<u64, Error> {
    step(rows.len() as u64).await?;
    step(name.len() as u64).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn lifetimes<'a>(name: &'a str) -> Result<&'a str, Error> {
    step(1).await?;
    Ok(name)
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn without_await(n: u64) -> Result<u64, Error> {
    Ok(n)
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn clones(name: String) -> Result<String, Error> {
    step(1).await?;
    let copy = name.clone();
    Ok(copy)
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn generic<T: Display + Send + Sync, const N: usize>(
    value: T,
    more: impl Display + Send,
) -> Result<impl Display, Error> {
    step(N as u64).await?;
    Ok(format!("{value}{more}"))
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn not_send(value: std::rc::Rc<u64>) -> Result<u64, Error> {
    step(*value).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn question_mark_is_all(n: u64) -> Result<u64, Error> {
    Ok(step(n).await?)
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn let_and_return(n: u64) -> Result<u64, Error> {
    let result = step(n).await;
    result
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn returns_a_future(n: u64) -> Result<impl Future<Output = Result<u64, Error>>, Error> {
    Ok(step(n))
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn many(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64) -> Result<u64, Error> {
    step(a ^ b ^ c ^ d ^ e ^ f ^ g ^ h).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
async fn dead(n: u64) -> Result<u64, Error> {
    step(n).await
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k", or_else = |_| 0))]
#[must_use]
pub async fn must_use(n: u64) -> u64 {
    step(n).await.unwrap()
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k", or_else = |_| 0))]
pub async fn no_must_use(n: u64) -> u64 {
    step(n).await.unwrap_or_default()
}

#[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
pub async fn unreachable(n: u64) -> Result<u64, Error> {
    return step(n).await;
    println!("never");
}

impl Ledger {
    #[cfg_attr(locked, lockattr::distributed_lock(key = "k:{self.id}"))]
    pub async fn by_ref(&self, n: u64) -> Result<u64, Error> {
        step(self.id.wrapping_add(n)).await
    }

    #[cfg_attr(locked, lockattr::distributed_lock(key = "k:{self.id}"))]
    pub async fn needless_mut(&mut self, n: u64) -> Result<u64, Error> {
        step(self.id.wrapping_add(n)).await
    }

    #[cfg_attr(locked, lockattr::distributed_lock(key = "k:{self.id}"))]
    pub async fn changes(&mut self, n: u64) -> Result<u64, Error> {
        self.id = n;
        self.rows.push(n);
        step(self.id).await
    }

    #[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
    pub async fn unused_self(&self, n: u64) -> Result<u64, Error> {
        step(n).await
    }

    #[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
    pub async fn consumed(mut self) -> Result<Self, Error> {
        self.id = step(1).await?;
        Ok(self)
    }
}

pub trait Service {
    #[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
    async fn default_body(&self, n: u64) -> Result<u64, Error> {
        step(n).await
    }
    async fn required(&self, n: u64) -> Result<u64, Error>;
}

impl Service for Ledger {
    #[cfg_attr(locked, lockattr::distributed_lock(key = "k"))]
    async fn required(&self, n: u64) -> Result<u64, Error> {
        step(n).await
    }
}
