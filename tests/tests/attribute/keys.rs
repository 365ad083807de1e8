//! The attribute, `key!` and `assert_held!` name the same lock, whatever the values are.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lockattr::{Error, Key, LockPool, assert_held, distributed_lock, key};

fn held_key() -> String {
    let lease = lockattr::current().expect("the body runs under a lease");
    lease.key().to_owned()
}

async fn pool() -> LockPool {
    LockPool::memory().await.unwrap()
}

/// Characters that are encoded, that separate, or that only look like either.
const SPECIAL: [&str; 14] = [
    "a@b.com", "a:b", "a-b", "a_b", "{id}", "%41", " ", "a/b?c#d", "größe", "\n", "~", "'\"\\",
    "A", "{",
];

const REGION: &str = "eu:1";

struct User {
    id: String,
    pair: (u16, f64),
}

struct Shop {
    tenant: String,
}

impl Shop {
    #[distributed_lock(key = "{REGION}:{self.tenant}-{user.id:*<6}-{user.pair.1:+.2}_{n}")]
    async fn mixed(&self, user: &User, n: u32) -> Result<(String, Key), Error> {
        assert_held!("{REGION}:{self.tenant}-{user.id:*<6}-{user.pair.1:+.2}_{n}");
        assert_held!(
            "{REGION}:{}-{:*<6}-{:+.2}_{n}",
            self.tenant,
            user.id,
            user.pair.1
        );
        let key = key!(
            "{REGION}:{self.tenant}-{0:*<6}-{1.pair.1:+.2}_{n}",
            user.id,
            user
        );
        assert_held!(key);
        assert_held!(&key);
        Ok((held_key(), key))
    }
}

#[distributed_lock(key = "stock_{shelf}_{item}")]
async fn stock(shelf: &str, item: &str) -> Result<String, Error> {
    assert_held!("stock_{}_{}", shelf, item);
    assert_held!("stock_{shelf}_{item}");
    assert_held!("stock_{}_{item}", shelf, item = item.to_owned());
    Ok(held_key())
}

#[distributed_lock(key = "{a}-{b}")]
async fn dashed(a: &str, b: &str) -> Result<String, Error> {
    assert_held!("{}-{}", a, b);
    assert_held!(key!("{}-{}", a, b));
    Ok(held_key())
}

#[tokio::test]
async fn the_attribute_key_and_assert_held_mean_the_same_lock() {
    let pool = pool().await;
    for a in SPECIAL {
        for b in SPECIAL {
            let (stocked, dash) = pool
                .scope(async { (stock(a, b).await.unwrap(), dashed(a, b).await.unwrap()) })
                .await;
            assert_eq!(key!("stock_{a}_{b}").as_str(), stocked);
            assert_eq!(key!("{}-{}", a, b).as_str(), dash);

            let guard = pool.lock(key!("{a}-{b}")).acquire().await.unwrap();
            let busy = pool.lock(key!("{}-{}", a, b)).try_acquire().await.unwrap();
            assert!(busy.is_none(), "{a:?} {b:?}");
            guard.release().await;
        }
    }
}

#[tokio::test]
async fn specs_paths_and_constants_are_the_same_in_all_forms() {
    let pool = pool().await;
    for text in SPECIAL {
        let shop = Shop {
            tenant: text.to_owned(),
        };
        let user = User {
            id: text.to_owned(),
            pair: (1, 2.5),
        };
        let (held, key) = pool.scope(shop.mixed(&user, 7)).await.unwrap();
        assert_eq!(held, key.as_str());
        assert!(
            held.starts_with("eu:1:") && held.ends_with("-%2B2.50_7"),
            "{held}"
        );
        assert_eq!(user.pair.0, 1);
    }
}

#[tokio::test]
async fn a_key_from_a_template_is_not_the_text_of_format() {
    let email = "a@b.com";
    assert_ne!(key!("user:{email}"), Key::from(format!("user:{email}")));
    assert_eq!(key!("user:{email}"), Key::from("user:a%40b.com"));
}

fn same(key: impl Into<Key>) -> Key {
    key.into()
}

#[tokio::test]
async fn a_request_takes_any_kind_of_key() {
    let key = key!("order:{}", 1);
    let text = String::from("order:1");
    for other in [
        same("order:1"),
        same(&text),
        same(text.clone()),
        same(Arc::<str>::from("order:1")),
        same(Box::<str>::from("order:1")),
        same(Cow::Borrowed("order:1")),
        same(&key),
        same(key.clone()),
    ] {
        assert_eq!(other, key);
        assert_eq!(other.to_string(), "order:1");
        assert_eq!(format!("{other:?}"), "\"order:1\"");
    }
    assert!(key < Key::from("order:2"));
    assert_eq!(HashSet::from([key.clone(), key]).len(), 1);
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

#[tokio::test]
async fn a_key_that_cannot_be_locked_says_why() {
    let pool = pool().await;
    let empty = String::new();
    for (key, part) in [
        (key!("order:{}", empty), "value is empty"),
        (key!("order:{empty}"), "value is empty"),
        (key!("order:{}", "x".repeat(1024)), "1 KiB"),
        (Key::from(""), "it is empty"),
        (Key::from("a\nb"), "control character"),
        (Key::from("x".repeat(1025)), "1 KiB"),
    ] {
        assert_invalid(key.check(), part);
        assert_invalid(pool.lock(&key).acquire().await.map(drop), part);
        assert_invalid(pool.lock(key).run(|_| async {}).await, part);
    }
    assert!(Key::from("a").check().is_ok());
}

#[test]
#[should_panic(expected = "the lock `a%3Ab` must be held here")]
fn without_the_lock_the_assertion_panics() {
    assert_held!("{}", "a:b");
}

/// Counts how often it is evaluated, and in which order.
#[derive(Default)]
struct Next(AtomicU32);

impl Next {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    #[distributed_lock(key("{n}:{n}", n = self.next()))]
    async fn plain(&self) -> Result<String, Error> {
        Ok(held_key())
    }

    #[distributed_lock(key("{self.0:?}:{n}:{n:02}:{m}:{n}", m = self.next(), n = self.next()))]
    async fn beside_a_field(&self) -> Result<String, Error> {
        Ok(held_key())
    }
}

#[tokio::test]
async fn a_value_is_evaluated_once_and_in_the_order_of_writing() {
    let pool = pool().await;
    let next = Next::default();
    assert_eq!(pool.scope(next.plain()).await.unwrap(), "1:1");
    assert_eq!(
        pool.scope(next.beside_a_field()).await.unwrap(),
        "3:3:03:2:3"
    );
    assert_eq!(
        key!(
            "{b}:{a}:{0}:{}:{b}",
            next.next(),
            a = next.next(),
            b = next.next()
        )
        .as_str(),
        "6:5:4:4:6"
    );
    assert_eq!(next.next(), 7);
}

/// Returns the text of a value before it was encoded.
fn decoded(key: &str) -> String {
    let mut parts = key.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

macro_rules! specs {
    ($($name:ident($v:ident: $type:ty = $value:expr) $template:literal)+) => {
        $(
            #[distributed_lock(key = $template)]
            async fn $name($v: $type) -> Result<String, Error> {
                let _ = &$v;
                Ok(held_key())
            }
        )+

        #[tokio::test]
        async fn every_spec_writes_the_value_as_format_does() {
            let pool = pool().await;
            $({
                let $v = $value;
                assert_eq!(decoded(key!($template).as_str()), format!($template), $template);
                assert_eq!(pool.scope($name($v)).await.unwrap(), key!($template).as_str());
            })+
        }
    };
}

specs! {
    filled(v: i32 = 7) "{v:*<6}/{v:x^8}/{v:$^5}/{v:}>5}/{v:{<5}/{v::<5}/{v:%>5}/{v:-^+9}/{v:ü>4}/{v:*^+#06x}"
    integer(v: i32 = -7) "{v:+}/{v:#x}/{v:#010b}/{v:>5 }/{v:e}/{v:o}/{v:X}/{v:08}/{v:}"
    debug(v: Option<u8> = Some(31)) "{v:#?}|{v:?}|{v:#06?}|{v:*>12?}|{v:x?}|{v:X?}"
    float(v: f64 = 1.5) "{v:>8}:{v:.2}:{v:08.3}:{v:+}:{v:e}:{v:E}:{v:*^+12.3}"
    text(v: &'static str = "a-b:c") "{v:*<8}/{v:.1}/{v:>7.3}/{v:?}/{v:-<9?}"
}

#[tokio::test]
async fn a_keys_borrows_end_before_it_is_locked() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let pool = pool().await;
    let shared = Mutex::new(7);
    let request = async {
        let key = key!("{}", shared.lock().unwrap());
        let (guard, other) = (
            pool.lock(&key).acquire().await?,
            key!("{n}", n = *shared.lock().unwrap() + 1),
        );
        let second = pool
            .lock(key!("{}", *shared.lock().unwrap() + 1))
            .acquire()
            .await?;
        assert_eq!(
            (guard.lease().key(), second.lease().key()),
            (key.as_str(), other.as_str())
        );
        Ok::<_, Error>(())
    };
    assert_send(request).await.unwrap();
}
