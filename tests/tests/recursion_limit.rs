//! Locked functions that call each other, as deep as the compiler's default limit lets them.
#![recursion_limit = "128"]

use lockattr::{Error, LockPool, distributed_lock};

macro_rules! levels {
    ($($name:ident => $next:ident,)*) => {
        $(
            #[distributed_lock(key = "level", reentrant = true)]
            async fn $name(n: u8) -> Result<u8, Error> {
                Ok($next(n).await? + 1)
            }
        )*
    };
}

levels! {
    f20 => f19, f19 => f18, f18 => f17, f17 => f16, f16 => f15, f15 => f14, f14 => f13,
    f13 => f12, f12 => f11, f11 => f10, f10 => f9, f9 => f8, f8 => f7, f7 => f6, f6 => f5,
    f5 => f4, f4 => f3, f3 => f2, f2 => f1, f1 => f0,
}

#[distributed_lock(key = "level", reentrant = true)]
async fn f0(n: u8) -> Result<u8, Error> {
    tokio::task::yield_now().await;
    Ok(n)
}

#[tokio::test]
async fn twenty_levels_can_be_spawned() {
    let pool = LockPool::memory().await.unwrap();
    let nested = tokio::spawn(async move { pool.scope(f20(0)).await });
    assert_eq!(nested.await.unwrap().unwrap(), 20);
}
