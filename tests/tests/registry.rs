//! The pools that a process has installed, and when others may take their place.

use std::time::Duration;

use lockattr::{Error, LockPool, LockPoolBuilder, distributed_lock};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(20);

fn builder() -> LockPoolBuilder {
    LockPool::builder().url("memory://")
}

#[distributed_lock(key = "k")]
async fn call() -> Result<(), Error> {
    Ok(())
}

/// The only test of this binary that installs the global pool: there is one per process.
#[tokio::test]
async fn a_pool_that_was_shut_down_makes_room() {
    for _ in 0..3 {
        let pool = builder().install().await.unwrap();
        call().await.unwrap();
        let again = builder().install().await.unwrap_err();
        assert!(matches!(again, Error::AlreadyInstalled { .. }), "{again}");
        pool.shutdown(LONG).await.unwrap();
        let closed = call().await.unwrap_err();
        assert!(matches!(closed, Error::Closed), "{closed}");
    }
    for _ in 0..3 {
        let pool = builder().install_named("renewed").await.unwrap();
        let again = builder().install_named("renewed").await.unwrap_err();
        assert!(again.to_string().contains("`renewed`"), "{again}");
        pool.shutdown(LONG).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_install_at_once_one_wins() {
    for _ in 0..20 {
        let mut installs = JoinSet::new();
        for _ in 0..8 {
            installs.spawn(builder().install_named("raced"));
        }
        let outcomes = installs.join_all().await;
        let mut winners = outcomes.into_iter().filter_map(Result::ok);
        let pool = winners.next().expect("one wins");
        assert!(winners.next().is_none(), "only one wins");
        let guard = pool.lock("k").acquire().await.unwrap();
        let installed = LockPool::named("raced").unwrap();
        let taken = installed.lock("k").try_acquire().await.unwrap();
        assert!(taken.is_none(), "the winner is the one installed");
        guard.release().await;
        pool.shutdown(LONG).await.unwrap();
    }
}

/// Pools of other names are kept, also when several are installed at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn installs_of_several_names_keep_each_other() {
    let mut installs = JoinSet::new();
    for n in 0..16 {
        installs.spawn(async move { builder().install_named(&format!("many:{n}")).await });
    }
    for outcome in installs.join_all().await {
        outcome.unwrap();
    }
    for n in 0..16 {
        LockPool::named(&format!("many:{n}")).unwrap();
    }
}
