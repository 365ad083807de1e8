//! Keys that are not template literals, values that are awaited or borrowed, and options from
//! macros.

use std::fmt::Debug;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};

fn held_key() -> String {
    let lease = lockattr::current().expect("the body runs under a lease");
    lease.key().to_owned()
}

async fn pool() -> LockPool {
    LockPool::memory().await.unwrap()
}

#[track_caller]
fn assert_invalid<T: Debug>(result: Result<T, Error>, part: &str) {
    match result {
        Err(error @ Error::InvalidKey { .. }) => {
            assert!(error.to_string().contains(part), "{error}");
        }
        other => panic!("expected an invalid key, got {other:?}"),
    }
}

const ORDER: &str = "order:{id}";
const TAGGED: &str = "{order}:1";
const JSON: &str = r#"{"id":1}"#;

struct Orders;

impl Orders {
    const KEY: &'static str = "order:{order.id:08}";
}

#[distributed_lock(key = ORDER)]
async fn constant(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

#[distributed_lock(key = (&Orders::KEY).to_owned())]
async fn associated() -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key = { ORDER })]
async fn hidden(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

#[distributed_lock(key = text)]
async fn argument(text: &str) -> Result<String, Error> {
    let _ = text;
    Ok(held_key())
}

#[distributed_lock(key = JSON)]
async fn json() -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key = "{TAGGED}")]
async fn meant() -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key = concat!("order", ":{", "id}"))]
async fn joined(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

#[distributed_lock(key = concat!("{\"a\":", 1, "}"))]
async fn joined_without_a_placeholder() -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key(concat!("{n}", ":1"), n = id + 1))]
async fn joined_with_a_value(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

macro_rules! endpoint {
    ($name:ident, $literal:ident, $text:literal, $through:ident, $expr:expr) => {
        #[distributed_lock(key = concat!(stringify!($name), ":{id}"))]
        async fn $name(id: u32) -> Result<String, Error> {
            let _ = id;
            Ok(held_key())
        }

        #[distributed_lock(key = $text)]
        async fn $literal(id: u32) -> Result<String, Error> {
            let _ = id;
            Ok(held_key())
        }

        #[distributed_lock(key = $expr)]
        async fn $through(id: u32) -> Result<String, Error> {
            let _ = id;
            Ok(held_key())
        }
    };
}

macro_rules! twice {
    ($($name:ident)+, $text:expr) => {
        endpoint!(refund, literal, "order:{id}", through, $text);
    };
}

twice!(a, "order:{id:03}");

#[tokio::test]
async fn an_unread_template_is_not_one_lock_for_all_values() {
    let pool = pool().await;
    pool.scope(async {
        assert_invalid(constant(7).await, "{id}");
        assert_invalid(associated().await, "{order.id:08}");
        assert_invalid(hidden(7).await, "{id}");
        assert_invalid(argument("{text}").await, "write the template as a literal");
        assert_eq!(argument("{id}").await.unwrap(), "{id}");
        assert_eq!(json().await.unwrap(), JSON);
        assert_eq!(meant().await.unwrap(), TAGGED);
        assert_eq!(joined(7).await.unwrap(), "order:7");
        assert_eq!(
            joined_without_a_placeholder().await.unwrap(),
            JSON.replace("id", "a")
        );
        assert_eq!(joined_with_a_value(7).await.unwrap(), "8:1");
        assert_eq!(refund(7).await.unwrap(), "refund:7");
        assert_eq!(literal(7).await.unwrap(), "order:7");
        assert_eq!(through(7).await.unwrap(), "order:007");
    })
    .await;
}

async fn tenant(id: u8) -> String {
    tokio::task::yield_now().await;
    format!("t{id}")
}

#[distributed_lock(key("{tenant}:{id}:{n}", tenant = tenant(id).await, n = id))]
async fn awaited(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

#[distributed_lock(key = tenant(id).await)]
async fn awaited_expression(id: u8) -> Result<String, Error> {
    let _ = id;
    Ok(held_key())
}

#[tokio::test]
async fn a_value_may_be_awaited() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let pool = pool().await;
    assert_eq!(assert_send(pool.scope(awaited(7))).await.unwrap(), "t7:7:7");
    assert_eq!(
        assert_send(pool.scope(awaited_expression(7)))
            .await
            .unwrap(),
        "t7"
    );
}

struct User {
    id: String,
    pair: (u16, f64),
}

#[distributed_lock(key("{user.id}/{user.pair.0}/{cut}", user = users[0], cut = text.trim().to_lowercase().as_str()))]
async fn borrowed(users: Vec<User>, text: &str) -> Result<String, Error> {
    drop(users);
    let _ = text;
    Ok(held_key())
}

#[tokio::test]
async fn values_may_borrow_what_is_made_for_them() {
    let user = User {
        id: "u:1".to_owned(),
        pair: (3, 0.0),
    };
    let key = pool().await.scope(borrowed(vec![user], " AB ")).await;
    assert_eq!(key.unwrap(), "u%3A1/3/ab");
}

macro_rules! job {
    ($name:ident, $busy:literal, $lost:expr, $reentrant:literal, $renew:expr, $pool:literal, $ttl:expr,
     $wait:literal, $bind:ident, $crate_:path, $handler:expr) => {
        #[distributed_lock(
            key = "job", on_busy = $busy, on_lost = $lost, reentrant = $reentrant, renew = $renew, pool = $pool,
            ttl = $ttl, wait = $wait, bind = $bind, crate = $crate_, or_else = $handler
        )]
        async fn $name() -> Result<u64, Error> {
            Ok($bind.fencing_token())
        }
    };
}

job!(
    nightly,
    "skip",
    "finish",
    true,
    true,
    "jobs",
    "5s",
    "0s",
    lease,
    ::lockattr,
    Err
);

#[tokio::test]
async fn every_option_takes_what_comes_through_a_macro() {
    assert!(pool().await.scope(nightly()).await.unwrap() > 0);
}

#[distributed_lock(key = "at once", on_busy = "skip")]
async fn skips() -> Result<Option<u8>, Error> {
    Ok(Some(1))
}

#[distributed_lock(key = "at once", on_busy = "skip", wait = "10s")]
async fn skips_later() -> Result<Option<u8>, Error> {
    Ok(Some(2))
}

#[tokio::test]
async fn skip_means_at_once_unless_wait_says_otherwise() {
    let hour = Duration::from_secs(3600);
    let pool = LockPool::builder()
        .url("memory://")
        .default_wait(hour)
        .build()
        .await
        .unwrap();
    let guard = pool.lock("at once").acquire().await.unwrap();
    let skipped = tokio::time::timeout(hour / 60, pool.scope(skips())).await;
    assert_eq!(
        skipped.expect("the pool's wait is not waited for").unwrap(),
        None
    );
    let later = pool.scope(skips_later());
    let (value, lost) = tokio::join!(later, guard.release());
    assert_eq!((value.unwrap(), lost), (Some(2), None));
}

static SHARED: LazyLock<Box<LockPool>> =
    LazyLock::new(|| panic!("the pool is made by the first call"));

#[distributed_lock(key = "pointers", pool = boxed)]
async fn boxed(boxed: Box<LockPool>) -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key = "pointers", pool = rc)]
async fn counted(rc: Rc<LockPool>) -> Result<String, Error> {
    Ok(held_key())
}

#[distributed_lock(key = "pointers", pool = SHARED)]
async fn lazy() -> Result<String, Error> {
    Ok(held_key())
}

#[tokio::test]
async fn a_pool_may_be_behind_any_pointer() {
    let pool = pool().await;
    assert_eq!(boxed(Box::new(pool.clone())).await.unwrap(), "pointers");
    assert_eq!(counted(Rc::new(pool)).await.unwrap(), "pointers");
    let lazy = tokio::spawn(lazy()).await.unwrap_err();
    assert!(lazy.is_panic());
}
