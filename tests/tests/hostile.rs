//! Malicious arguments and servers: no lock is mistaken for another, no command is smuggled in, and
//! nothing grows with data that others choose.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use lockattr::{Error, LockPool, Wait, distributed_lock};
use lockattr_tests::{RedisServer, Service, eventually_async};
use redis::Commands as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longer than any error needs to be.
const LONGEST_TEXT: usize = 1024;

/// Attacks on the template, the names, the protocol, the script, the encoding and the terminal.
const HOSTILE: [&str; 34] = [
    "{",
    "}",
    "{}",
    "{evil}",
    "}:{000}:x",
    "{{id}}",
    ":",
    "::",
    "a:b",
    "#fence",
    "#queue:k",
    "\0",
    "a\0",
    "\r\n",
    "\n",
    "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "$-1\r\n",
    "FLUSHALL",
    "'; redis.call('FLUSHALL') --",
    "]] redis.call('FLUSHALL') --[[",
    "' .. redis.call('FLUSHALL') .. '",
    "%",
    "%%",
    "%3A",
    "%253A",
    "%s%n",
    "🔒",
    "👩‍👩‍👧",
    "\u{202e}drawkcab",
    "\u{fffd}",
    "\\ud800",
    "%ED%A0%80",
    "\u{1b}[31m",
    " ",
];

struct Documents {
    locks: LockPool,
}

impl Documents {
    /// As the user with all rights: a smuggled command would be executed.
    async fn on(server: &RedisServer) -> Self {
        let builder = LockPool::builder().url(server.admin_url());
        let locks = builder.default_ttl(Service::LONG).build().await.unwrap();
        Self { locks }
    }

    #[distributed_lock(key = "doc:{owner}:{title}", wait = "0s", pool = self.locks)]
    async fn edit<T: Send>(
        &self,
        owner: &str,
        title: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        Ok(work.await)
    }

    #[distributed_lock(key = "{title:?}", wait = "0s", pool = self.locks)]
    async fn edit_debug(&self, title: &str) -> Result<(), Error> {
        Ok(())
    }

    #[distributed_lock(key = title, wait = "0s", pool = self.locks)]
    async fn edit_spelled_out(&self, title: &str) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn different_arguments_never_meet_and_never_act() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    connection.set::<_, _, ()>("sentinel", "unharmed").unwrap();
    let documents = Arc::new(Documents::on(&server).await);

    // All of them at once: two equal keys would be busy.
    let (open, opened) = watch::channel(false);
    let mut editing = JoinSet::new();
    for owner in HOSTILE {
        for title in HOSTILE {
            let (documents, mut opened) = (documents.clone(), opened.clone());
            editing.spawn(async move {
                let until_open = async { opened.wait_for(|open| *open).await.is_ok() };
                documents.edit(owner, title, until_open).await
            });
        }
    }
    let pairs = HOSTILE.len() * HOSTILE.len();
    eventually_async("all are held, or one has failed", || {
        let held = server.locks().len();
        std::future::ready(held == pairs || documents.locks.stats().busy > 0)
    })
    .await;
    let locks = server.locks();
    assert_eq!(locks.len(), pairs);
    for name in &locks {
        let text = name.strip_prefix("lockattr:{").unwrap();
        let (bucket, key) = text.split_once("}:doc:").unwrap();
        assert!(bucket.len() == 3 && bucket.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(key.matches(':').count(), 1, "{name}");
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"%:-._~".contains(&byte);
        assert!(key.bytes().all(is_safe), "{name}");
    }

    open.send(true).unwrap();
    while let Some(edited) = editing.join_next().await {
        assert!(edited.unwrap().unwrap());
    }
    let sentinel: String = connection.get("sentinel").unwrap();
    assert_eq!(sentinel, "unharmed");
    let others = server.keys("*");
    let is_known = |name: &String| name.ends_with("}#fence") || name == "sentinel";
    assert!(others.iter().all(is_known), "{others:?}");
    assert!(!commands(&server).contains("flushall"));
}

/// Computed by Redis itself: for any key, all names that one script touches are in one slot.
#[tokio::test]
async fn no_argument_steers_the_slot() {
    let server = RedisServer::start();
    let cluster = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let mut connection = cluster.connection();
    let mut slot = |name: &str| -> u16 {
        let slot = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(name)
            .query(&mut connection);
        slot.unwrap()
    };
    let documents = Documents::on(&server).await;
    let other = Documents::on(&server).await;
    for title in HOSTILE {
        let while_one_waits = async {
            let key = lockattr::current().unwrap().key().to_owned();
            let waiting = tokio::spawn(other.locks.lock(key).wait(Wait::Forever).acquire());
            eventually_async("it waits", || async {
                !server.keys("*#queue:*").is_empty()
            })
            .await;
            let names = server.keys("*");
            waiting.abort();
            names
        };
        let names = documents.edit("k", title, while_one_waits).await.unwrap();
        let lock = names.iter().find(|name| name.contains("}:")).unwrap();
        let tag = &lock[..=lock.find('}').unwrap()];
        let slots: Vec<u16> = names
            .iter()
            .filter(|name| name.starts_with(tag))
            .map(|name| slot(name))
            .collect();
        assert_eq!(slots, [slot(tag); 3], "lock, fence and queue: {names:?}");
        eventually_async("it has left", || async {
            server.keys("*#queue:*").is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn invalid_keys_are_refused_with_a_short_error() {
    let server = RedisServer::start();
    let documents = Documents::on(&server).await;
    let before = commands(&server);
    for title in ["", "\0", "a\r\nb", "\u{1b}[31m", "\u{9b}31m"] {
        let error = documents.edit_spelled_out(title).await.unwrap_err();
        assert!(matches!(error, Error::InvalidKey { .. }), "{error}");
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    assert!(matches!(
        documents.edit("", "k", async {}).await.unwrap_err(),
        Error::InvalidKey { .. }
    ));
    assert_eq!(
        evaluations(&commands(&server)),
        evaluations(&before),
        "nothing was sent"
    );
}

/// A value of 64 MiB is neither read to its end nor copied, however often it comes.
#[tokio::test]
async fn long_values_are_refused_at_once() {
    const LENGTH: usize = 64 << 20;
    let server = RedisServer::start();
    let documents = Documents::on(&server).await;
    let values = ["x", "🔒", "%", "\r\n", "\0"].map(|part| part.repeat(LENGTH / part.len()));
    let peak = peak_memory();
    let start = Instant::now();
    for round in 0..1000 {
        let title = &values[round % values.len()];
        for refused in [
            documents.edit("k", title, async {}).await,
            documents.edit_spelled_out(title).await,
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::InvalidKey { .. }));
            assert!(
                format!("{error} {error:?}").len() < LONGEST_TEXT,
                "it is short"
            );
        }
    }
    let (grown, took) = (peak_memory() - peak, start.elapsed());
    println!("2000 times 64 MiB: {took:?}, {grown} bytes more");
    assert!(grown < LENGTH / 2, "a copy was made: {grown} bytes");
    assert!(
        took < Duration::from_secs(5),
        "it was read to its end: {took:?}"
    );

    let longest = "x".repeat(1024 - "doc:k:".len());
    documents.edit("k", &longest, async {}).await.unwrap();
    documents.edit_debug(&values[0]).await.unwrap_err();
    let one_more = documents.edit("k", &(longest + "x"), async {}).await;
    assert!(matches!(one_more.unwrap_err(), Error::InvalidKey { .. }));
}

#[tokio::test]
async fn many_keys_leave_nothing_behind() {
    const KEYS: usize = 10_000;
    let server = RedisServer::start();
    let documents = Arc::new(Documents::on(&server).await);
    // The first round fills memory that is used again.
    let mut in_use = [0; 2];
    for (round, in_use) in in_use.iter_mut().enumerate() {
        for first in (0..KEYS).step_by(100) {
            let mut edits = JoinSet::new();
            for n in first..first + 100 {
                let documents = Arc::clone(&documents);
                edits.spawn(async move {
                    let title = format!("{round}:{n}:{}", "x".repeat(100));
                    documents.edit("k", &title, async {}).await
                });
            }
            while let Some(edited) = edits.join_next().await {
                edited.unwrap().unwrap();
            }
        }
        *in_use = memory_of(&server);
    }
    let names = server.keys("*");
    assert!(names.iter().all(|name| name.ends_with("}#fence")));
    assert!(names.len() <= 1024, "{} names", names.len());
    println!("the server uses {in_use:?} bytes");
    let grown = in_use[1].saturating_sub(in_use[0]);
    assert!(grown < KEYS * 10, "{grown} bytes for {KEYS} keys");
}

/// Text from a server, or from an impostor, is repeated in part only, and on one line.
#[tokio::test]
async fn a_server_that_talks_too_much_is_cut_short() {
    let talkative = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", talkative.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = talkative.accept().unwrap();
        let said = format!("-ERR \u{1b}[31m{}\r\n", "blah ".repeat(1 << 14));
        // Until the client has read enough.
        while client.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
            if client.write_all(said.repeat(4).as_bytes()).is_err() {
                return;
            }
        }
    });
    let error = LockPool::builder().url(url).build().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("blah"), "the server's own words: {text:.200}");
    assert!(text.len() < LONGEST_TEXT, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// Returns the most memory that this process ever had, in bytes.
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn memory_of(server: &RedisServer) -> usize {
    number(&info(server, "memory"), "used_memory:")
}

/// Returns the server's statistics of its commands.
fn commands(server: &RedisServer) -> String {
    info(server, "commandstats")
}

fn evaluations(commands: &str) -> Option<&str> {
    commands.lines().find(|line| line.contains("evalsha"))
}

fn info(server: &RedisServer, section: &str) -> String {
    let info = redis::cmd("INFO")
        .arg(section)
        .query(&mut server.connection());
    info.unwrap()
}

fn number(info: &str, field: &str) -> usize {
    let line = info.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap().trim().parse().unwrap()
}
