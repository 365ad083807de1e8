//! Checks of whole pools on the backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::process::Fleet;
use super::{Checked, violated};
use crate::{LockPool, Wait};

const TASKS: u32 = 6;
const CALLS: u32 = 8;
/// The ttl of leases that must not be left behind.
const LASTING: Duration = Duration::from_secs(60);

/// The guarded resource: it notices two holders at once, and a token that does not grow.
#[derive(Default)]
struct Guarded {
    inside: AtomicU32,
    calls: AtomicU32,
    greatest: AtomicU64,
    violations: AtomicU32,
}

impl Guarded {
    async fn enter(&self, token: u64) {
        let others = self.inside.fetch_add(1, Ordering::SeqCst);
        let before = self.greatest.fetch_max(token, Ordering::SeqCst);
        if others > 0 || before >= token {
            self.violations.fetch_add(1, Ordering::SeqCst);
        }
        tokio::task::yield_now().await;
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) async fn calls_exclude_each_other(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let guarded = Arc::new(Guarded::default());
    let pools = pools(fleet).await?;
    let mut tasks: JoinSet<Checked> = JoinSet::new();
    for pool in &pools {
        for _ in 0..TASKS {
            let (pool, key, guarded) = (pool.clone(), key.clone(), Arc::clone(&guarded));
            tasks.spawn(async move {
                for _ in 0..CALLS {
                    let request = pool.lock(key.as_str()).wait(Wait::Forever);
                    let call = request.run(|lease| {
                        let guarded = Arc::clone(&guarded);
                        async move { guarded.enter(lease.fencing_token()).await }
                    });
                    call.await.map_err(|error| error.to_string())?;
                }
                Ok(())
            });
        }
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok::<_, String>(())
    };
    let most = Duration::from_secs(60);
    match tokio::time::timeout(most, all).await {
        Ok(ended) => ended?,
        Err(_) => violated!("{:?} calls were done within {most:?}", guarded.calls),
    }
    let expected = TASKS * CALLS * 2;
    let (calls, violations) = (&guarded.calls, &guarded.violations);
    if calls.load(Ordering::SeqCst) != expected || violations.load(Ordering::SeqCst) > 0 {
        violated!(
            "{calls:?} of {expected} calls, {violations:?} of them not alone or out of order"
        );
    }
    end(pools).await
}

pub(super) async fn cancelled_calls_leave_nothing(fleet: &Fleet) -> Checked {
    let key = fleet.key()?;
    let pools = pools(fleet).await?;
    for round in 0..24 {
        let mut calls = Vec::new();
        for pool in &pools {
            for _ in 0..3 {
                let request = pool.lock(key.as_str()).ttl(LASTING).wait(Wait::Forever);
                calls.push(tokio::spawn(request.acquire()));
            }
        }
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        for call in &calls {
            call.abort();
        }
    }
    // A lease that was left would keep the key for longer than this.
    for pool in &pools {
        let request = pool.lock(key.as_str()).wait(LASTING / 6);
        let guard = request.acquire().await;
        let guard = guard.map_err(|error| format!("a cancelled call left something: {error}"))?;
        guard.release().await;
    }
    end(pools).await
}

async fn pools(fleet: &Fleet) -> Result<[LockPool; 2], String> {
    let pool = async || fleet.pool().await.map_err(|error| error.to_string());
    Ok([pool().await?, pool().await?])
}

async fn end(pools: [LockPool; 2]) -> Checked {
    for pool in pools {
        let ended = pool.shutdown(Duration::from_secs(10)).await;
        ended.map_err(|error| format!("a pool does not end: {error}"))?;
    }
    Ok(())
}
