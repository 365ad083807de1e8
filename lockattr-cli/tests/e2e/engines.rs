//! The lock services beside Redis: the same commands show and do the same.

use std::time::{Duration, SystemTime};

use lockattr::LockPool;
use lockattr::backend::Engine;
use lockattr_etcd::Etcd;
use lockattr_postgres::Postgres;
use lockattr_tests::postgres::PostgresServer;
use lockattr_tests::{CANARY, ZooKeepers, eventually_async};
use lockattr_zookeeper::ZooKeeper;
use serde_json::Value;

use crate::program::{Folder, Running, Said, clean, lockattr_at, run};
use crate::{LONG, becomes_waited};

/// A command that ends when the test lets it.
const UNTIL_TOLD: &str = r#"touch "$1/in"; until [ -e "$1/go" ]; do sleep 0.01; done"#;

/// A lock service, as its program and a pool find it.
#[derive(Clone)]
struct Service<E> {
    engine: E,
    url: String,
}

impl<E: Engine + Clone> Service<E> {
    async fn pool(&self) -> LockPool {
        let builder = LockPool::builder().engine(self.engine.clone());
        let builder = builder.connect_timeout(Duration::from_secs(20));
        builder.url(&self.url).build().await.unwrap()
    }

    fn says(&self, arguments: &[&str]) -> Said {
        run(lockattr_at(&self.url).args(arguments))
    }

    fn inspected(&self, key: &str) -> Value {
        let said = self.says(&["inspect", key, "--json"]).exits_with(0);
        said.objects().remove(0)
    }

    /// One call has the key, the other waits for it: that is what `ls`, `inspect` and `watch` show.
    async fn locks_are_shown(&self) {
        let (pool, other) = (self.pool().await, self.pool().await);
        let request = pool.lock("order:1").caller("shop::pay").ttl(LONG);
        let guard = request.acquire().await.unwrap();
        let request = other.lock("order:1").caller("shop::refund").ttl(LONG);
        let waiting = tokio::spawn(request.wait(LONG).acquire());
        becomes_waited(&pool, "order:1").await;

        let token = guard.fencing_token().to_string();
        let process = format!("/{}", std::process::id());
        let shown = ["order:1", "exclusive", &process, "shop::pay", &token];
        let said = self.says(&["ls"]).exits_with(0);
        for part in shown {
            assert!(said.out.contains(part), "{part}: {said:?}");
        }
        let said = self.says(&["ls", "another:"]).exits_with(0);
        assert_eq!(said.out, "");
        let said = self.says(&["inspect", "order:1"]).exits_with(0);
        let counted = "order:1: 1 holder, 1 waiting";
        for part in shown.iter().chain(&[counted, "shop::refund", "running"]) {
            assert!(said.out.contains(part), "{part}: {said:?}");
        }
        let told = self.inspected("order:1");
        let (holder, waiter) = (&told["holders"][0], &told["queue"][0]);
        assert_eq!(holder["token"], guard.fencing_token());
        assert_eq!(waiter["function"], "shop::refund");
        for one in [holder, waiter] {
            assert_eq!(one["pid"], std::process::id());
            assert!(
                one["host"].is_string() && one["since"].is_string(),
                "{told}"
            );
        }
        self.says(&["inspect", "another"]).exits_with(1);
        let mut watching = lockattr_at(&self.url);
        let watching = Running::start(watching.args(["watch", "--json"]));
        watching.says(r#""waiters":1"#);
        drop(watching);

        let arguments = ["release", "order:1", "--force", "--yes"];
        let said = self.says(&arguments).exits_with(0);
        assert!(said.out.contains("was released"), "{said:?}");
        let next = waiting.await.unwrap().unwrap();
        assert!(next.fencing_token() > guard.fencing_token());
        let told = self.inspected("order:1");
        assert_eq!(told["holders"][0]["function"], "shop::refund");
        next.release().await;
        drop(guard);
        self.says(&arguments).exits_with(1);
    }

    /// Commands run one after the other, and a busy lock has its exit code.
    async fn commands_run_under_a_lock(&self) {
        let (pool, folder) = (self.pool().await, Folder::new());
        let mut first = lockattr_at(&self.url);
        first.args(["run", "-k", "job", "--", "sh", "-c", UNTIL_TOLD, "sh"]);
        let first = Running::start(first.arg(folder.path()));
        folder.gets("in");
        let holder = pool.holder("job").await.unwrap().unwrap();
        assert!(holder.who.ends_with("lockattr run sh"), "{holder}");
        let try_once = ["-vv", "run", "-k", "job", "--wait", "0s", "--", "true"];
        self.says(&try_once).exits_with(75);
        folder.put("go");
        first.end().exits_with(0);
        let said = self.says(&try_once).exits_with(0);
        assert!(said.err.contains("lock acquired"), "{said:?}");
    }

    /// What is for Redis alone is refused on the command line, and ignored as a variable, as the library does.
    fn options_of_redis_are_refused(&self) {
        for (option, part) in [
            ("--prefix", "in the URL"),
            ("--connections", "leave it out"),
        ] {
            let said = self.says(&["ls", option, "7"]).exits_with(64);
            let error = said.error();
            assert!(error.contains(option) && error.contains(part), "{said:?}");
        }
        let mut command = lockattr_at(&self.url);
        command.env("LOCKATTR_PREFIX", "7").arg("ls");
        run(&mut command).exits_with(0);
        let mut command = lockattr_at(&self.url);
        command.env("LOCKATTR_CONFIRM_REPLICAS", "1").arg("ls");
        let said = run(&mut command).exits_with(64);
        assert!(said.error().contains("no replicas"), "{said:?}");
    }

    /// `doctor` exits with this code, and says these parts.
    fn is_examined(&self, code: i32, parts: &[&str]) {
        let said = self.says(&["doctor"]).exits_with(code);
        for part in parts {
            assert!(said.out.contains(part), "{part}: {said:?}");
        }
        self.says(&["doctor", "--json"]).exits_with(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let server = PostgresServer::start();
    let service = Service {
        engine: Postgres::new(),
        url: server.url(),
    };
    service.locks_are_shown().await;
    service.commands_run_under_a_lock().await;
    service.options_of_redis_are_refused();
    // The servers of tests do not write through to their disks.
    service.is_examined(1, &["warning  persistence", "fsync", "good     rights"]);
    let said = service.says(&["ls", "--strict"]).exits_with(69);
    assert!(said.error().contains("fsync"), "{said:?}");
    let wrong = server.url().replace(CANARY, &format!("{CANARY}x"));
    let said = run(lockattr_at(&wrong).arg("ls")).exits_with(69);
    assert!(said.error().contains("password"), "{said:?}");
    let missing = format!("{}?schema=missing", server.url());
    let said = run(lockattr_at(&missing).arg("ls")).exits_with(69);
    assert!(
        said.error().contains("`lockattr schema missing`"),
        "{said:?}"
    );
    let mut printing = std::process::Command::new(crate::program::PROGRAM);
    let said = run(clean(&mut printing).args(["schema", "missing"])).exits_with(0);
    server.execute(&said.out);
    let url = format!("{}?schema=missing", server.admin_url());
    run(lockattr_at(&url).arg("ls")).exits_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd() {
    let server = lockattr_tests::Etcd::start(1);
    server.enable_auth();
    let service = Service {
        engine: Etcd::new(),
        url: server.url(),
    };
    service.locks_are_shown().await;
    service.commands_run_under_a_lock().await;
    service.options_of_redis_are_refused();
    service.is_examined(0, &["one member", "good     rights"]);
    service.says(&["ls", "--strict"]).exits_with(0);
    let wrong = server.url().replace(CANARY, &format!("{CANARY}x"));
    let said = run(lockattr_at(&wrong).arg("ls")).exits_with(69);
    assert!(said.error().contains("authentication"), "{said:?}");
    let arguments = ["run", "-k", "k", "--shared", "--", "true"];
    let said = service.says(&arguments).exits_with(64);
    assert!(said.error().contains("PostgreSQL"), "{said:?}");
    has_since_its_turn(&service).await;
}

/// The names that the program looks at begin as the URL says.
#[tokio::test(flavor = "multi_thread")]
async fn etcd_with_a_prefix() {
    let server = lockattr_tests::Etcd::start(1);
    let service = Service {
        engine: Etcd::new().prefix("shop/locks"),
        url: server.url(),
    };
    let guard = service.pool().await.lock("k").acquire().await.unwrap();
    assert_eq!(service.says(&["ls"]).exits_with(0).out, "");
    let said = run(lockattr_at(&format!("{}/shop/locks", server.url())).arg("ls"));
    assert!(said.exits_with(0).out.contains("k  "));
    guard.release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper() {
    let servers = ZooKeepers::start(1);
    let hosts = servers.url().replace("zookeeper://", "");
    let service = Service {
        engine: ZooKeeper::new(),
        url: format!("zk://me:{CANARY}@{hosts}/safe/locks"),
    };
    service.locks_are_shown().await;
    service.commands_run_under_a_lock().await;
    service.options_of_redis_are_refused();
    service.is_examined(0, &["one server named", "sessions of"]);
    service.says(&["ls", "--strict"]).exits_with(0);
    let wrong = service.url.replace(CANARY, &format!("{CANARY}x"));
    let said = run(lockattr_at(&wrong).arg("ls")).exits_with(69);
    assert!(said.error().contains("user:password@"), "{said:?}");
    // As it is if no file says anything else: the default ttl of pools would be too long.
    let usual = ZooKeepers::start_with(1, &["maxSessionTimeout=40000"]);
    for arguments in [&["ls"][..], &["run", "-k", "k", "--", "true"]] {
        run(lockattr_at(&usual.url()).args(arguments)).exits_with(0);
    }
    // The end of a lease is known to its process alone.
    let guard = service.pool().await.lock("k").acquire().await.unwrap();
    let said = service.says(&["inspect", "k"]).exits_with(0);
    assert!(said.out.contains("ttl left  not known"), "{said:?}");
    guard.release().await;
}

/// A holder that waited before has the key since its turn.
async fn has_since_its_turn(service: &Service<Etcd>) {
    let (pool, other) = (service.pool().await, service.pool().await);
    let guard = pool.lock("turns").ttl(LONG).acquire().await.unwrap();
    let waiting = tokio::spawn(other.lock("turns").ttl(LONG).wait(LONG).acquire());
    becomes_waited(&pool, "turns").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let released = SystemTime::now();
    guard.release().await;
    let next = waiting.await.unwrap().unwrap();
    eventually_async("it is told since when", || async {
        let holder = pool.holder("turns").await.unwrap().unwrap();
        // Whole milliseconds.
        let earliest = released - Duration::from_millis(1);
        holder.since.is_some_and(|since| since >= earliest)
    })
    .await;
    next.release().await;
}

/// `Said` is searched for the password. None of these leads to a server.
#[test]
fn urls_that_are_wrong_are_not_repeated() {
    let no_host = ["postgres", "etcd", "zookeeper"].map(|it| format!("{it}://locker:{CANARY}"));
    let unescaped = ["postgres", "zookeeper"].map(|it| format!("{it}://locker:p@s/{CANARY}@h/d"));
    let query = ["postgres", "etcd", "zk"].map(|it| format!("{it}://u:p@h/d?pass={CANARY}"));
    let others = [
        format!("postgres://locker:p@{CANARY}@h/d"),
        format!("etcd://{CANARY}@h"),
        format!("zk://locker:a/{CANARY}@h/d"),
    ];
    for url in no_host
        .iter()
        .chain(&unescaped)
        .chain(&query)
        .chain(&others)
    {
        for arguments in [&["ls"][..], &["doctor"], &["run", "-k", "k", "--", "true"]] {
            let said = run(lockattr_at(url).args(arguments)).exits_with(64);
            assert!(said.error().contains("url"), "{said:?}");
        }
    }
}
