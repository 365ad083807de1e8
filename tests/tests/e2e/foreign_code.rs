//! Wakers and subscribers are foreign code: they may block, panic, or call back into the pool.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use lockattr::{Guard, LockPool};
use lockattr_tests::{Service, eventually_async};

/// Calls back into the pool when it wakes, and when it is dropped.
struct CallsBack {
    pool: LockPool,
    guards: Mutex<Vec<Guard>>,
    calls: Arc<AtomicU32>,
}

impl CallsBack {
    fn call_back(&self) {
        let guard = self.guards.lock().unwrap().pop();
        drop(guard);
        // Joins a queue, and leaves it.
        let mut asking = pin!(self.pool.lock("another").acquire());
        let mut cx = Context::from_waker(Waker::noop());
        let _answer = asking.as_mut().poll(&mut cx);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wake for CallsBack {
    fn wake(self: Arc<Self>) {
        self.call_back();
    }
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        self.call_back();
    }
}

/// Each call ends in another way: while it waits, with its lease, or by the pool's shutdown. Under
/// the pool's mutex, each waker would block for ever.
#[tokio::test]
async fn wakers_that_call_back_into_the_pool() {
    for service in Service::all() {
        for ending in ["left", "served", "refused", "shut down"] {
            let pool = service.pool().await;
            let holder = pool.lock("k").acquire().await.unwrap();
            let calls = Arc::new(AtomicU32::new(0));
            let guards = vec![
                pool.lock("a").acquire().await.unwrap(),
                pool.lock("b").acquire().await.unwrap(),
            ];
            let waker = Waker::from(Arc::new(CallsBack {
                pool: pool.clone(),
                guards: Mutex::new(guards),
                calls: Arc::clone(&calls),
            }));
            let wait = match ending {
                "refused" => std::time::Duration::from_millis(50),
                _ => Service::LONG,
            };
            {
                let mut asking = Box::pin(pool.lock("k").wait(wait).acquire());
                let polled = asking.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
                drop(waker);
                match ending {
                    "left" => drop(asking),
                    "served" => {
                        holder.release().await;
                        asking.await.unwrap().release().await;
                    }
                    "refused" => assert!(asking.await.unwrap_err().is_busy()),
                    _ => {
                        pool.shutdown(Service::LONG).await.unwrap();
                        asking.await.unwrap_err();
                    }
                }
            }
            eventually_async("it is called", || async {
                calls.load(Ordering::Relaxed) > 0
            })
            .await;
        }
    }
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("as a test");
    }
}

/// The releasing thread passes the lease on, in a destructor, during an unwind: a second panic
/// there would abort the process.
#[tokio::test]
async fn a_waker_that_panics_while_a_holder_unwinds() {
    for service in Service::all() {
        // The lease is passed on in the process, however late this thread runs.
        let builder = service.builder().batch_time(Service::LONG);
        let pool = builder.build().await.unwrap();
        let guard = pool.lock("k").acquire().await.unwrap();
        let waker = Waker::from(Arc::new(Panics));
        let mut asking = Box::pin(pool.lock("k").wait(Service::LONG).acquire());
        let polled = asking.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        eventually_async("it waits", || async { pool.stats().waited == 1 }).await;
        let holder = tokio::spawn(async move {
            let _guard = guard;
            panic!("the holder's own");
        });
        assert!(holder.await.unwrap_err().is_panic());
        asking.await.unwrap().release().await;
        assert_eq!(pool.stats().restarted, 0);
        pool.lock("k").acquire().await.unwrap().release().await;
    }
}
