//! The attribute on every shape of function, each run for real on the memory backend.
#![deny(warnings, clippy::pedantic)]
#![allow(
    clippy::large_types_passed_by_value,
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the shapes are the point"
)]

use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};

#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error(transparent)]
    Lock(#[from] Error),
    #[error(transparent)]
    Parse(#[from] std::num::ParseIntError),
}

type AppResult<T = ()> = Result<T, AppError>;

fn held_key() -> String {
    lockattr::current()
        .expect("the body runs under a lease")
        .key()
        .to_owned()
}

/// Docs survive.
#[distributed_lock(key = "order:{order_id}", ttl = "10s")]
async fn question_mark(order_id: u64) -> Result<u64, AppError> {
    let n: u64 = "7".parse()?;
    tokio::task::yield_now().await;
    Ok(n + order_id)
}

#[distributed_lock(key = "early:{flag}")]
async fn early_return(flag: bool) -> AppResult<&'static str> {
    if flag {
        return Ok("early");
    }
    tokio::task::yield_now().await;
    Ok("late")
}

#[distributed_lock(key = "borrow:{name}")]
async fn borrows(name: &str, out: &mut Vec<String>) -> AppResult {
    out.push(name.to_owned());
    tokio::task::yield_now().await;
    out.push(name.to_uppercase());
    Ok(())
}

#[distributed_lock(key = "elided:{text}")]
async fn elided(text: &str) -> AppResult<&str> {
    tokio::task::yield_now().await;
    Ok(text.trim())
}

#[distributed_lock(key = "named:{a}")]
async fn named_lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b str) -> AppResult<&'a str> {
    Ok(if a.len() > 1 { a } else { b })
}

#[distributed_lock(key = "generic:{value}:{N}")]
async fn generic<T, const N: usize>(value: T) -> AppResult<[T; N]>
where
    T: Display + Clone + Send,
{
    tokio::task::yield_now().await;
    Ok(std::array::from_fn(|_| value.clone()))
}

#[distributed_lock(key = "impl:{value}")]
async fn impl_trait(value: impl Display + Send) -> AppResult<impl Display> {
    tokio::task::yield_now().await;
    Ok(value.to_string().len())
}

struct Path<T>(T);
struct Point {
    x: u8,
    y: u8,
}

#[distributed_lock(key = "patterns:{a}:{b}:{c}:{id}:{x}:{vertical}")]
async fn patterns(
    (a, b): (u8, u8),
    [c, ..]: [u8; 3],
    _: u8,
    Path(id): Path<u64>,
    Point { x, y: vertical }: Point,
) -> AppResult<String> {
    let _ = (a, b, c, id, x, vertical);
    Ok(held_key())
}

#[distributed_lock(key = "mut:{n}")]
async fn mutable(mut n: u32, mut v: Vec<u32>) -> AppResult<Vec<u32>> {
    n += 1;
    v.push(n);
    tokio::task::yield_now().await;
    v.push(n);
    Ok(v)
}

#[distributed_lock(key = "hygiene:{key}:{lease}:{error}")]
async fn hygiene(key: u8, lease: u8, error: u8) -> AppResult<u8> {
    Ok(key + lease + error)
}

#[distributed_lock(key = "raw:{type}:{type:03}")]
async fn raw(r#type: u8) -> AppResult<String> {
    let _ = r#type;
    Ok(held_key())
}

#[distributed_lock(key = order_key(&ids))]
async fn expression(ids: Vec<u8>) -> AppResult<String> {
    drop(ids);
    Ok(held_key())
}

fn order_key(ids: &[u8]) -> String {
    format!("ids:{}", ids.len())
}

#[distributed_lock(key("named:{count}:{first}", count = ids.len(), first = ids[0],))]
async fn named_values(ids: Vec<u8>) -> AppResult<String> {
    drop(ids);
    Ok(held_key())
}

const TENANT: &str = "shop:eu";
const TTL: Duration = Duration::from_secs(3);

#[distributed_lock(key = "{TENANT}:{id:04x}:{name:?}", ttl = TTL, wait = Duration::ZERO)]
async fn constants(id: u16, name: &str) -> AppResult<String> {
    let _ = (id, name);
    Ok(held_key())
}

#[derive(Clone)]
struct User {
    id: u64,
}

#[derive(Clone)]
struct Request {
    user: User,
    pair: (u8, &'static str),
}

#[distributed_lock(key = "{TENANT}:{req.user.id}:{req.pair.1}:{id}")]
async fn fields(req: Request, id: u8) -> AppResult<String> {
    let moved = req;
    let _ = (moved.pair, id);
    Ok(held_key())
}

#[distributed_lock(key = "dash:{a}-{b}")]
async fn safe_separator(a: &str, b: &str) -> AppResult<String> {
    let _ = (a, b);
    Ok(held_key())
}

#[distributed_lock(key = "{{braces}}:{id}")]
async fn braces(id: u8) -> AppResult<String> {
    let _ = id;
    Ok(held_key())
}

#[distributed_lock(key = "cfg:{a}")]
async fn cfg_argument(a: u8, #[cfg(any())] b: u8, #[cfg(not(any()))] c: u8) -> AppResult<u8> {
    Ok(a + c)
}

#[distributed_lock(key = "not-send")]
async fn not_send(rc: Rc<u8>) -> AppResult<u8> {
    tokio::task::yield_now().await;
    Ok(*rc)
}

#[distributed_lock(key = "anyhow")]
async fn anyhow_error() -> anyhow::Result<u16> {
    Ok("7".parse()?)
}

#[distributed_lock(key = "boxed")]
async fn boxed_error()
-> Result<Box<dyn Fn(u8) -> u8 + Send>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Box::new(|n| n + 1))
}

#[distributed_lock(key = "own")]
async fn own_error() -> Result<(), Error> {
    Ok(())
}

#[distributed_lock(key = "bound", bind = lease)]
async fn bound() -> AppResult<(String, u64)> {
    let token = lease.fencing_token();
    lease.extend(Duration::from_secs(5)).await?;
    Ok((lease.key().to_owned(), token))
}

#[distributed_lock(key = "or-else:{id}", wait = "0s", or_else = |error| error.to_string())]
async fn or_else(id: u8) -> String {
    id.to_string()
}

#[distributed_lock(key = "skip", wait = "0s", on_busy = "skip")]
async fn skip_nothing() {
    tokio::task::yield_now().await;
}

#[distributed_lock(key = "skip", wait = "0s", on_busy = "skip")]
async fn skip_result() -> AppResult<Option<u8>> {
    Ok(Some(1))
}

#[distributed_lock(key = "skip", wait = "0s", on_busy = "skip")]
async fn skip_value() -> Vec<u8> {
    vec![1]
}

#[distributed_lock(key = "skip", wait = "0s", on_busy = "skip", or_else = |error| panic!("{error}"))]
async fn skip_or_else() -> Option<u8> {
    Some(1)
}

#[distributed_lock(key = "fib:{n}")]
async fn recursive(n: u8) -> AppResult<u8> {
    match n {
        0 => Ok(0),
        n => Ok(Box::pin(recursive(n - 1)).await? + 1),
    }
}

#[distributed_lock(key = "reentrant", reentrant = true)]
async fn nests(depth: u8) -> AppResult<u64> {
    let token = lockattr::current().map_or(0, |lease| lease.fencing_token());
    match depth {
        0 => Ok(token),
        depth => {
            let inner = Box::pin(nests(depth - 1)).await?;
            assert_eq!(inner, token);
            Ok(token)
        }
    }
}

#[distributed_lock(key = "deadlock", wait = "forever")]
async fn deadlocks(depth: u8) -> AppResult {
    if depth > 0 {
        Box::pin(deadlocks(depth - 1)).await?;
    }
    Ok(())
}

macro_rules! make {
    ($name:ident, $argument:ident, $key:literal) => {
        #[distributed_lock(key = $key)]
        async fn $name($argument: u8) -> AppResult<String> {
            let _ = $argument;
            Ok(held_key())
        }
    };
}
make!(from_macro, zone, "macro:{zone}");

mod reexport {
    pub(crate) use lockattr as locks;
}

#[distributed_lock(key = "renamed", crate = crate::shapes::reexport::locks)]
async fn renamed() -> AppResult<u8> {
    Ok(1)
}

#[expect(dead_code, reason = "the lint must see through the attribute")]
#[distributed_lock(key = "unused")]
async fn unused() -> AppResult {
    Ok(())
}

#[distributed_lock(key = "never", or_else = |error| panic!("{error}"))]
async fn never_returns() -> ! {
    std::future::pending().await
}

#[distributed_lock(key = "impl in dyn:{n}")]
async fn impl_in_dyn(n: u8) -> AppResult<Box<dyn Iterator<Item = impl Display + use<>> + Send>> {
    Ok(Box::new(0..n))
}

#[distributed_lock(key = "not send")]
async fn error_not_send(n: u8) -> Result<u8, Box<dyn std::error::Error>> {
    tokio::task::yield_now().await;
    Ok(format!("{n}").parse()?)
}

#[distributed_lock(key = "rc")]
async fn value_not_send() -> AppResult<Rc<u8>> {
    tokio::task::yield_now().await;
    Ok(Rc::new(1))
}

#[distributed_lock(key = "moved:{name}", wait = "0s", or_else = |error| format!("{name}: {error}"))]
async fn handler_of_a_moved_argument(name: String, mut count: u8) -> String {
    count += 1;
    tokio::task::yield_now().await;
    name + &count.to_string()
}

#[distributed_lock(key = "skipped", wait = "0s", on_busy = "skip", or_else = |error| panic!("{user} {error}"))]
async fn skips_beside_a_handler(Path(user): Path<String>) -> Option<String> {
    Some(user)
}

/// Arguments that another attribute reads stay unchanged.
#[distributed_lock(key = "below:{id}:{first}")]
#[must_use = "read by the compiler"]
async fn below(Path(id): Path<u64>, (first, _): (String, u8), mut n: u8) -> AppResult<String> {
    n += 1;
    tokio::task::yield_now().await;
    let _ = (id, first);
    Ok(format!("{} {n}", held_key()))
}

struct Ledger {
    locks: LockPool,
    tenant: &'static str,
    total: u64,
}

impl Ledger {
    #[distributed_lock(key = "ledger:{self.tenant}:{id}", pool = self.locks)]
    async fn by_ref(&self, id: u64) -> AppResult<String> {
        tokio::task::yield_now().await;
        let _ = id;
        Ok(held_key())
    }

    #[distributed_lock(key = "ledger")]
    async fn by_mut(&mut self, add: u64) -> AppResult<&mut u64> {
        self.total += add;
        tokio::task::yield_now().await;
        Ok(&mut self.total)
    }

    #[distributed_lock(key = "ledger:{self}")]
    async fn by_value(mut self) -> AppResult<Self> {
        self.total += 1;
        tokio::task::yield_now().await;
        Ok(self)
    }

    #[distributed_lock(key = "ledger", pool = Arc::clone(&self))]
    async fn by_arc(self: Arc<Self>) -> AppResult<u64> {
        tokio::task::yield_now().await;
        Ok(self.total)
    }

    #[distributed_lock(key = "by hand:{n}")]
    fn by_hand(
        &self,
        n: u8,
    ) -> std::pin::Pin<Box<dyn Future<Output = AppResult<u64>> + Send + Sync + '_>> {
        if n == 0 {
            return Box::pin(async { Err(AppError::Lock(Error::Closed)) });
        }
        Box::pin(async move { Ok(self.total + u64::from(n)) })
    }

    #[distributed_lock(key = "handler", wait = "0s", or_else = |_| self.tenant.len())]
    async fn handler_of_self(self) -> usize {
        drop(self.locks);
        0
    }

    #[distributed_lock(key = "new")]
    async fn associated(locks: LockPool) -> AppResult<Self> {
        Ok(Self {
            locks,
            tenant: "t",
            total: 0,
        })
    }
}

impl Clone for Ledger {
    fn clone(&self) -> Self {
        Self {
            locks: self.locks.clone(),
            ..*self
        }
    }
}

impl lockattr::__private::AsPool for Ledger {
    fn as_pool(&self) -> &LockPool {
        &self.locks
    }
}

impl Display for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.tenant)
    }
}

trait Service {
    #[distributed_lock(key = "service:{n}")]
    async fn default_body(&self, n: u8) -> AppResult<u8> {
        Ok(n)
    }

    async fn required(&mut self, n: u8) -> AppResult<u64>;
}

impl Service for Ledger {
    #[distributed_lock(key = "service:{n}:{self.tenant}")]
    async fn required(&mut self, n: u8) -> AppResult<u64> {
        self.total += u64::from(n);
        Ok(self.total)
    }
}

#[async_trait::async_trait]
trait Boxed: Send + Sync {
    async fn charge(&self, id: u64, note: &str) -> AppResult<String>;
    async fn bound(&self) -> AppResult<u64>;
    async fn patterns(&self, path: Path<u64>, pair: (u8, u8)) -> AppResult<String>;
    async fn changes(&mut self, add: u64) -> AppResult<u64>;
}

#[async_trait::async_trait]
impl Boxed for Ledger {
    #[distributed_lock(key = "boxed:{self.tenant}:{id}:{note}", wait = "1s")]
    async fn charge(&self, id: u64, note: &str) -> AppResult<String> {
        if id == 0 {
            return Ok(note.to_owned());
        }
        tokio::task::yield_now().await;
        Ok(held_key())
    }

    #[distributed_lock(key = "boxed:{id}:{b}:{self.tenant}")]
    async fn patterns(&self, Path(id): Path<u64>, (_, b): (u8, u8)) -> AppResult<String> {
        let _ = (id, b);
        Ok(held_key())
    }

    #[distributed_lock(key = "boxed:{self.tenant}", pool = self.locks)]
    async fn changes(&mut self, add: u64) -> AppResult<u64> {
        self.total += add;
        Ok(self.total)
    }

    #[distributed_lock(key = "boxed:bound", bind = lease)]
    async fn bound(&self) -> AppResult<u64> {
        tokio::task::yield_now().await;
        Ok(lease.fencing_token())
    }
}

async fn pool() -> LockPool {
    LockPool::memory().await.expect("a thread can be started")
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn functions() {
    pool()
        .await
        .scope(async {
            assert_eq!(question_mark(5).await.unwrap(), 12);
            assert_eq!(early_return(true).await.unwrap(), "early");
            assert_eq!(early_return(false).await.unwrap(), "late");
            let mut out = Vec::new();
            borrows("n", &mut out).await.unwrap();
            assert_eq!(out, ["n", "N"]);
            assert_eq!(elided(" s ").await.unwrap(), "s");
            assert_eq!(named_lifetimes("a", "bb").await.unwrap(), "bb");
            assert_eq!(generic::<_, 2>("t").await.unwrap(), ["t", "t"]);
            assert_eq!(impl_trait(123).await.unwrap().to_string(), "3");
            assert_eq!(mutable(1, vec![]).await.unwrap(), [2, 2]);
            assert_eq!(hygiene(1, 2, 3).await.unwrap(), 6);
            assert_eq!(cfg_argument(1, 2).await.unwrap(), 3);
            assert_eq!(not_send(Rc::new(1)).await.unwrap(), 1);
            assert_eq!(anyhow_error().await.unwrap(), 7);
            assert_eq!(boxed_error().await.unwrap()(1), 2);
            own_error().await.unwrap();
            assert_eq!(bound().await.unwrap().0, "bound");
            assert_eq!(renamed().await.unwrap(), 1);
            assert_eq!(recursive(3).await.unwrap(), 3);
            let rows = impl_in_dyn(3).await.unwrap();
            assert_eq!(rows.map(|row| row.to_string()).collect::<String>(), "012");
            assert_eq!(error_not_send(7).await.unwrap(), 7);
            assert_eq!(*value_not_send().await.unwrap(), 1);
            assert_eq!(handler_of_a_moved_argument("n".into(), 1).await, "n2");
            assert_eq!(skips_beside_a_handler(Path("u".into())).await.unwrap(), "u");
            assert_eq!(
                below(Path(1), ("a".into(), 2), 3).await.unwrap(),
                "below:1:a 4"
            );
            let never = tokio::time::timeout(Duration::from_millis(1), never_returns());
            assert!(never.await.is_err());
            assert!(nests(2).await.unwrap() > 0);
            let nested = deadlocks(1).await.unwrap_err();
            assert!(
                matches!(nested, AppError::Lock(Error::Reentrant { .. })),
                "{nested}"
            );
        })
        .await;
}

#[tokio::test]
async fn keys() {
    pool()
        .await
        .scope(async {
            let point = Point { x: 5, y: 6 };
            assert_eq!(
                patterns((1, 2), [3, 0, 0], 9, Path(4), point)
                    .await
                    .unwrap(),
                "patterns:1:2:3:4:5:6"
            );
            assert_eq!(raw(7).await.unwrap(), "raw:7:007");
            assert_eq!(expression(vec![1, 2]).await.unwrap(), "ids:2");
            assert_eq!(named_values(vec![9, 2]).await.unwrap(), "named:2:9");
            assert_eq!(
                constants(255, "a:b{c}").await.unwrap(),
                "shop:eu:00ff:%22a%3Ab%7Bc%7D%22"
            );
            let req = Request {
                user: User { id: 3 },
                pair: (1, "x:y"),
            };
            assert_eq!(fields(req, 8).await.unwrap(), "shop:eu:3:x%3Ay:8");
            assert_eq!(safe_separator("a-b", "c").await.unwrap(), "dash:a%2Db-c");
            assert_eq!(safe_separator("a", "b-c").await.unwrap(), "dash:a-b%2Dc");
            assert_eq!(braces(1).await.unwrap(), "{braces}:1");
            assert_eq!(from_macro(4).await.unwrap(), "macro:4");
            let empty = elided("").await.unwrap_err();
            assert!(
                matches!(empty, AppError::Lock(Error::InvalidKey { .. })),
                "{empty}"
            );
            let long = "x".repeat(1 << 20);
            let long = elided(&long).await.unwrap_err();
            assert!(
                matches!(long, AppError::Lock(Error::InvalidKey { .. })),
                "{long}"
            );
        })
        .await;
}

#[tokio::test]
async fn methods() {
    let locks = pool().await;
    let own = pool().await;
    locks
        .scope(async {
            let mut ledger = Ledger {
                locks: own.clone(),
                tenant: "t:1",
                total: 0,
            };
            assert_eq!(ledger.by_ref(1).await.unwrap(), "ledger:t%3A1:1");
            *ledger.by_mut(2).await.unwrap() += 1;
            ledger = ledger.by_value().await.unwrap();
            assert_eq!(ledger.total, 4);
            assert_eq!(ledger.default_body(1).await.unwrap(), 1);
            assert_eq!(ledger.required(1).await.unwrap(), 5);
            assert_eq!(ledger.charge(0, "n").await.unwrap(), "n");
            assert_eq!(
                ledger.charge(1, "a b").await.unwrap(),
                "boxed:t%3A1:1:a%20b"
            );
            let patterns = ledger.patterns(Path(3), (1, 2)).await;
            assert_eq!(patterns.unwrap(), "boxed:3:2:t%3A1");
            assert_eq!(ledger.changes(1).await.unwrap(), 6);
            assert_eq!(ledger.by_hand(1).await.unwrap(), 7);
            assert!(ledger.by_hand(0).await.is_err());
            assert_eq!(ledger.clone().handler_of_self().await, 0);
            let guard = locks.lock("handler").acquire().await.unwrap();
            assert_eq!(ledger.clone().handler_of_self().await, 3);
            guard.release().await;
            assert!(Boxed::bound(&ledger).await.unwrap() > 0);
            assert_eq!(Arc::new(ledger).by_arc().await.unwrap(), 6);
            Ledger::associated(own.clone()).await.unwrap();
        })
        .await;
    assert_eq!(
        own.stats().acquired,
        3,
        "`pool = place` is not replaced by the scope"
    );
}

#[tokio::test]
async fn a_busy_lock_is_an_error_a_skip_or_the_handlers_value() {
    let pool = pool().await;
    let _skip = pool.lock("skip").acquire().await.unwrap();
    let _moved = pool.lock("moved:n").acquire().await.unwrap();
    let _skipped = pool.lock("skipped").acquire().await.unwrap();
    let _or_else = pool.lock("or-else:1").acquire().await.unwrap();
    pool.scope(async {
        skip_nothing().await;
        assert_eq!(skip_result().await.unwrap(), None);
        assert_eq!(skip_value().await, Vec::<u8>::new());
        assert_eq!(skip_or_else().await, None);
        assert!(or_else(1).await.contains("held by someone else"));
        assert_eq!(or_else(2).await, "2");
        let moved = handler_of_a_moved_argument("n".into(), 1).await;
        assert!(
            moved.starts_with("n: the lock `moved:n` is held"),
            "{moved}"
        );
        assert_eq!(skips_beside_a_handler(Path("u".into())).await, None);
    })
    .await;
}

#[tokio::test]
async fn without_a_pool_nothing_runs() {
    let missing = own_error().await.unwrap_err();
    assert!(matches!(missing, Error::NotConfigured { .. }), "{missing}");
    assert!(missing.to_string().contains("install()"));
    assert_eq!(skip_value().await, Vec::<u8>::new());
    let counted = pool().await.stats().unreported;
    assert!(counted > 0, "an error that cannot be returned is counted");
}

#[test]
fn futures_are_send_where_their_bodies_are() {
    drop(assert_send(question_mark(1)));
    drop(assert_send(borrows("", &mut Vec::new())));
    drop(assert_send(generic::<_, 1>(String::new())));
    drop(assert_send(impl_trait(1)));
    drop(assert_send(skip_result()));
    drop(assert_send(error_not_send(1)));
    drop(assert_send(value_not_send()));
    drop(assert_send(handler_of_a_moved_argument(String::new(), 1)));
}

#[test]
fn futures_are_unwind_safe_where_their_bodies_are() {
    fn assert_unwind_safe<T: std::panic::UnwindSafe>(_: T) {}

    #[distributed_lock(key = "k", bind = lease)]
    async fn locked(n: Vec<u8>) -> Result<u64, Error> {
        std::future::ready(()).await;
        Ok(lease.fencing_token() + u64::from(n[0]))
    }

    #[distributed_lock(key = "k")]
    #[must_use = "an attribute that stays"]
    async fn below(n: Vec<u8>) -> Result<u8, Error> {
        std::future::ready(()).await;
        Ok(n[0])
    }

    assert_unwind_safe(locked(vec![1]));
    assert_unwind_safe(below(vec![1]));
}

/// The added size does not depend on the size of arguments and value.
#[test]
fn the_attribute_adds_no_copy_of_arguments_or_value() {
    const LARGE: usize = 1 << 13;
    type Large = [u8; LARGE];

    async fn plain(argument: Large) -> Result<Large, Error> {
        tokio::task::yield_now().await;
        Ok(argument)
    }

    #[distributed_lock(key = "large")]
    async fn locked(argument: Large) -> Result<Large, Error> {
        tokio::task::yield_now().await;
        Ok(argument)
    }

    #[distributed_lock(key = "large")]
    #[must_use = "an attribute that stays"]
    async fn below(argument: Large) -> Result<Large, Error> {
        tokio::task::yield_now().await;
        Ok(argument)
    }

    let plain = size_of_val(&plain([0; LARGE]));
    for locked in [
        size_of_val(&locked([0; LARGE])),
        size_of_val(&below([0; LARGE])),
    ] {
        assert!(locked <= plain + 512, "{locked} to {plain}");
    }
}

#[tokio::test]
async fn the_librarys_own_futures_are_send() {
    let pool = pool().await;
    drop(assert_send(LockPool::builder().url("memory://").build()));
    drop(assert_send(pool.shutdown(TTL)));
    drop(assert_send(pool.scope(async {})));
    drop(assert_send(pool.lock("k").try_acquire()));
    drop(assert_send(pool.lock("k").run(|_| async {})));
    let guard = assert_send(pool.lock("k").acquire()).await.unwrap();
    drop(assert_send(guard.lease().extend(TTL)));
    drop(assert_send(guard.lease().lost()));
    assert_send(guard.release()).await;
}
