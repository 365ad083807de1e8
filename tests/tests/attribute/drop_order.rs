//! Destructors run under the lock, in the order in which the plain function runs them.
//!
//! Every shape is defined twice from one body, and writes two logs, which must be equal. Each entry
//! says whether a valid lease was held; the plain function has no lease, and all its entries count
//! as held.
#![allow(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    clippy::used_underscore_binding,
    clippy::toplevel_ref_arg,
    redundant_semicolons,
    unused_variables,
    unused_assignments,
    unused_mut,
    dead_code,
    reason = "the shapes are the point"
)]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use lockattr::{Error, LockPool, distributed_lock};

thread_local! {
    static LOG: RefCell<Vec<(String, bool)>> = const { RefCell::new(Vec::new()) };
    static IS_PLAIN: Cell<bool> = const { Cell::new(false) };
}

fn log(entry: impl Into<String>) {
    let is_held = IS_PLAIN.get() || lockattr::current().is_some_and(|lease| lease.is_valid());
    LOG.with_borrow_mut(|log| log.push((entry.into(), is_held)));
}

/// Logs its destruction.
#[derive(Debug)]
struct D(&'static str);

impl Drop for D {
    fn drop(&mut self) {
        log(self.0);
    }
}

/// Borrows its owner, as the guard of a mutex does.
struct Guard<'a>(&'a D);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        log(format!("guard of {}", self.0.0));
    }
}

impl D {
    fn guard(&self) -> Guard<'_> {
        Guard(self)
    }
}

struct Pair(D, D);
struct Named {
    a: D,
    b: D,
}

/// How a call ends. The first two are the ends of a call without the lock, which the plain function
/// imitates at the start of its body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Exit {
    Refused,
    Waiting,
    Value,
    Return,
    QuestionMark,
    Panic,
    Cancelled,
}

const EXITS: [Exit; 5] = [
    Exit::Value,
    Exit::Return,
    Exit::QuestionMark,
    Exit::Panic,
    Exit::Cancelled,
];

macro_rules! prologue {
    ($exit:expr) => {
        match $exit {
            Exit::Refused => return Err(Error::Closed),
            Exit::Waiting => std::future::pending().await,
            _ => {}
        }
    };
}

macro_rules! exit {
    ($exit:expr) => {
        log("body");
        let _local = D("local");
        tokio::task::yield_now().await;
        log("local-ready");
        match $exit {
            Exit::Value => {}
            Exit::Return => return Ok(()),
            Exit::QuestionMark => Err(Error::Closed)?,
            Exit::Panic => std::panic::resume_unwind(Box::new(())),
            _ => std::future::pending().await,
        }
    };
}

/// Defines `plain::$name` and `locked::$name`, and the test that calls both.
macro_rules! shapes {
    ($($name:ident $generics:tt ($($arguments:tt)*) { $($body:tt)* } called with $values:tt;)*) => {
        mod plain {
            use super::*;
            $(shapes!(@define [] $name $generics ($($arguments)*) { $($body)* });)*
        }
        mod locked {
            use super::*;
            $(shapes!(@define [#[distributed_lock(key = "k", wait = "forever")]] $name $generics ($($arguments)*) { $($body)* });)*
        }
        $(
            #[test]
            fn $name() {
                compare(|exit| Box::pin(shapes!(@call plain $name exit $values)), |exit| Box::pin(shapes!(@call locked $name exit $values)));
            }
        )*
    };
    (@define [$($attribute:tt)*] $name:ident [$($generics:tt)*] ($($arguments:tt)*) { $($body:tt)* }) => {
        $($attribute)*
        pub(super) async fn $name<$($generics)*>(exit: Exit, $($arguments)*) -> Result<(), Error> {
            prologue!(exit);
            $($body)*;
            exit!(exit);
            Ok(())
        }
    };
    (@call $module:ident $name:ident $exit:ident ($($values:expr),*)) => {
        $module::$name($exit, $($values),*)
    };
}

type Run = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

fn compare(plain: impl Fn(Exit) -> Run, locked: impl Fn(Exit) -> Run) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pool = runtime.block_on(LockPool::memory()).unwrap();
    for exit in EXITS {
        IS_PLAIN.set(true);
        let expected = run(&runtime, plain(exit), exit);
        IS_PLAIN.set(false);
        let found = run(&runtime, Box::pin(pool.scope(locked(exit))), exit);
        assert_eq!(found, expected, "{exit:?}");
        assert!(found.iter().any(|(entry, _)| entry == "body"));
    }

    let names_of = |exit, future| names(&run(&runtime, future, exit));
    IS_PLAIN.set(true);
    let refused = names_of(Exit::Refused, plain(Exit::Refused));
    let waiting = names_of(Exit::Waiting, plain(Exit::Waiting));
    IS_PLAIN.set(false);
    let guard = runtime.block_on(pool.lock("k").acquire()).unwrap();
    let call = Box::pin(pool.scope(locked(Exit::Waiting)));
    assert_eq!(names_of(Exit::Waiting, call), waiting, "waiting");
    drop(guard);
    let end = pool.shutdown(std::time::Duration::from_secs(5));
    runtime.block_on(end).unwrap();
    let call = Box::pin(pool.scope(locked(Exit::Refused)));
    assert_eq!(names_of(Exit::Refused, call), refused, "refused");
}

fn names(log: &[(String, bool)]) -> Vec<String> {
    log.iter().map(|(entry, _)| entry.clone()).collect()
}

fn run(runtime: &tokio::runtime::Runtime, future: Run, exit: Exit) -> Vec<(String, bool)> {
    LOG.take();
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async move {
            if let Exit::Cancelled | Exit::Waiting = exit {
                let mut future = future;
                let is_in_body =
                    || LOG.with_borrow(|log| log.iter().any(|(entry, _)| entry == "local-ready"));
                poll_fn(|cx| {
                    assert!(future.as_mut().poll(cx).is_pending());
                    if exit == Exit::Waiting || is_in_body() {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                })
                .await;
                drop(future);
                return Ok(());
            }
            future.await
        })
    }));
    assert_eq!(result.is_err(), exit == Exit::Panic);
    LOG.take()
}

shapes! {
    named [] (a: D, b: D, c: D) { log(b.0); } called with (D("a"), D("b"), D("c"));
    unnamed [] (_: D, b: D, _: D) {} called with (D("a"), D("b"), D("c"));
    underscored [] (_a: D, b: D, _c: D) { log(_c.0); } called with (D("a"), D("b"), D("c"));
    moved [] (a: D, b: D, c: D) { let moved = c; let _second = a; } called with (D("a"), D("b"), D("c"));
    moved_away [] (a: D, b: D) { drop(a); } called with (D("a"), D("b"));
    mutable [] (mut a: D, mut b: D) { b = D("body b"); } called with (D("a"), D("b"));
    tuple [] ((a, _): (D, D), (_, b): (D, D)) { log(b.0); } called with ((D("a"), D("a2")), (D("b2"), D("b")));
    tuple_struct [] (Pair(a, _): Pair, c: D) {} called with (Pair(D("a"), D("a2")), D("c"));
    fields [] (Named { b, .. }: Named, c: D) { log(b.0); } called with (Named { a: D("a"), b: D("b") }, D("c"));
    array [] ([first, .., last]: [D; 4], c: D) { drop(last); } called with ([D("1"), D("2"), D("3"), D("4")], D("c"));
    by_ref [] (ref a: D, Pair(ref b, ..): Pair) { log(b.0); } called with (D("a"), Pair(D("b"), D("c")));
    whole [] (whole @ Pair(..): Pair, c: D) { let part = whole.1; } called with (Pair(D("a"), D("b")), D("c"));
    partly_moved [] (a: Pair, b: Named) { let _part = b.a; drop(a.1); } called with (Pair(D("a1"), D("a2")), Named { a: D("ba"), b: D("bb") });
    borrowed [] (a: &'static D, b: D) { log(a.0); } called with (Box::leak(Box::new(D("a"))), D("b"));
    generic [T: std::fmt::Debug, const N: usize] (a: T, b: [T; N], c: impl std::fmt::Debug) { log(format!("body {a:?}")); }
        called with (D("a"), [D("b1"), D("b2")], D("c"));
    boxed_arguments [] (a: Box<D>, b: Arc<D>, c: Option<D>) {} called with (Box::new(D("a")), Arc::new(D("b")), Some(D("c")));
    guarded [] (a: D, b: D) { let _a = a.guard(); let _b = b.guard(); } called with (D("a"), D("b"));
    small [] (n: u8, a: D, m: u64) { log(format!("body {n}")); } called with (1, D("a"), 2);
}

/// A call does not drop a value behind a reference, so the value is leaked here.
fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

/// The same for methods, of two similar types.
macro_rules! methods {
    ($($name:ident ($($receiver:tt)*) { $($body:tt)* } called as |$owner:ident, $exit:ident| $call:expr;)*) => {
        methods!(@module plain_methods [] $($name ($($receiver)*) { $($body)* } |$owner, $exit| $call;)*);
        methods!(@module locked_methods [#[distributed_lock(key = "k", wait = "forever")]]
            $($name ($($receiver)*) { $($body)* } |$owner, $exit| $call;)*);
        $(
            #[test]
            fn $name() {
                compare(plain_methods::$name::call, locked_methods::$name::call);
            }
        )*
    };
    (@module $module:ident $attribute:tt $($name:ident ($($receiver:tt)*) { $($body:tt)* } |$owner:ident, $exit:ident| $call:expr;)*) => {
        mod $module {
            use super::*;

            pub(super) struct Owner(pub(super) D, pub(super) D);

            $(methods!(@define $attribute $name ($($receiver)*) { $($body)* });)*
            $(
                pub(super) mod $name {
                    use super::*;

                    pub(in super::super) fn call($exit: Exit) -> Run {
                        let $owner = Owner(D("0"), D("1"));
                        Box::pin(async move { $call.await })
                    }
                }
            )*
        }
    };
    (@define [$($attribute:tt)*] $name:ident ($($receiver:tt)*) { $($body:tt)* }) => {
        impl Owner {
            $($attribute)*
            async fn $name($($receiver)*, exit: Exit, other: D) -> Result<(), Error> {
                prologue!(exit);
                $($body)*;
                exit!(exit);
                Ok(())
            }
        }
    };
}

methods! {
    by_value (self) {} called as |owner, exit| owner.by_value(exit, D("other"));
    by_value_field (self) { log(self.0.0) } called as |owner, exit| owner.by_value_field(exit, D("other"));
    by_value_partly_moved (self) { drop(self.1) } called as |owner, exit| owner.by_value_partly_moved(exit, D("other"));
    by_value_moved (self) { let _this = self; } called as |owner, exit| owner.by_value_moved(exit, D("other"));
    by_value_mut (mut self) { self.0 = D("body 0"); } called as |owner, exit| owner.by_value_mut(exit, D("other"));
    by_reference (&self) { log(self.0.0) } called as |owner, exit| leak(owner).by_reference(exit, D("other"));
    by_mut_reference (&mut self) { self.1 = D("body 1"); }
        called as |owner, exit| leak(owner).by_mut_reference(exit, D("other"));
    by_box (self: Box<Self>) { log(self.1.0) } called as |owner, exit| Box::new(owner).by_box(exit, D("other"));
    by_box_unused (self: Box<Self>) {} called as |owner, exit| Box::new(owner).by_box_unused(exit, D("other"));
    by_arc (self: Arc<Self>) { log(self.1.0) } called as |owner, exit| Arc::new(owner).by_arc(exit, D("other"));
    by_mut_box (mut self: Box<Self>) { self.1 = D("body 1"); } called as |owner, exit| Box::new(owner).by_mut_box(exit, D("other"));
    by_pin (self: Pin<&mut Self>) { log(self.0.0) }
        called as |owner, exit| Pin::new(leak(owner)).by_pin(exit, D("other"));
    guarded_self (self) { let _guard = self.0.guard(); } called as |owner, exit| owner.guarded_self(exit, D("other"));
}

/// Under `#[async_trait]` the plain method is compared with the locked one too.
macro_rules! boxed_methods {
    ($($name:ident ($($receiver:tt)*) ($($arguments:tt)*) { $($body:tt)* } called as |$owner:ident, $exit:ident| $call:expr;)*) => {
        boxed_methods!(@module plain_boxed [] $($name ($($receiver)*) ($($arguments)*) { $($body)* } |$owner, $exit| $call;)*);
        boxed_methods!(@module locked_boxed [#[distributed_lock(key = "k", wait = "forever")]]
            $($name ($($receiver)*) ($($arguments)*) { $($body)* } |$owner, $exit| $call;)*);
        $(
            #[test]
            fn $name() {
                compare(plain_boxed::$name::call, locked_boxed::$name::call);
            }
        )*
    };
    (@module $module:ident $attribute:tt $($name:ident ($($receiver:tt)*) ($($arguments:tt)*) { $($body:tt)* } |$owner:ident, $exit:ident| $call:expr;)*) => {
        mod $module {
            use super::*;

            pub(super) struct Owner(pub(super) D, pub(super) D);

            $(
                pub(super) mod $name {
                    use super::*;

                    boxed_methods!(@define $attribute $name ($($receiver)*) ($($arguments)*) { $($body)* });

                    pub(in super::super) fn call($exit: Exit) -> Run {
                        let $owner = Owner(D("0"), D("1"));
                        Box::pin(async move { $call.await })
                    }
                }
            )*
        }
    };
    (@define [$($attribute:tt)*] $name:ident ($($receiver:tt)*) ($($arguments:tt)*) { $($body:tt)* }) => {
        #[async_trait::async_trait]
        trait Boxed {
            async fn $name($($receiver)*, exit: Exit, $($arguments)*) -> Result<(), Error>;
        }

        #[async_trait::async_trait]
        impl Boxed for Owner {
            $($attribute)*
            async fn $name($($receiver)*, exit: Exit, $($arguments)*) -> Result<(), Error> {
                prologue!(exit);
                $($body)*;
                exit!(exit);
                Ok(())
            }
        }
    };
}

boxed_methods! {
    boxed_by_reference (&self) (a: D, b: D) { log(self.0.0) } called as |owner, exit| leak(owner).boxed_by_reference(exit, D("a"), D("b"));
    boxed_by_value (self) (a: D, b: D) { drop(a) } called as |owner, exit| owner.boxed_by_value(exit, D("a"), D("b"));
    boxed_by_box (self: Box<Self>) (a: D, b: D) { log(self.1.0) } called as |owner, exit| Box::new(owner).boxed_by_box(exit, D("a"), D("b"));
    boxed_by_arc (self: Arc<Self>) (a: D, b: D) {} called as |owner, exit| Arc::new(owner).boxed_by_arc(exit, D("a"), D("b"));
    boxed_guarded (self: Arc<Self>) (a: D, b: D) { let _guard = a.guard(); let _first = self.0.guard(); }
        called as |owner, exit| Arc::new(owner).boxed_guarded(exit, D("a"), D("b"));
}

/// `#[async_trait]` drops the values that its patterns do not bind at once, before the lock. With
/// the lock they live as long as in an `async fn`.
mod boxed_patterns {
    use super::*;

    #[async_trait::async_trait]
    trait Boxed {
        async fn locked(
            &self,
            exit: Exit,
            pair: (D, D),
            none: D,
            whole: Pair,
            last: D,
        ) -> Result<(), Error>;
    }

    struct Nothing;

    impl Nothing {
        async fn plain(
            &self,
            exit: Exit,
            (a, _): (D, D),
            _: D,
            Pair(_, b): Pair,
            mut last: D,
        ) -> Result<(), Error> {
            prologue!(exit);
            exit!(exit);
            Ok(())
        }
    }

    #[async_trait::async_trait]
    impl Boxed for Nothing {
        #[distributed_lock(key = "k", wait = "forever")]
        async fn locked(
            &self,
            exit: Exit,
            (a, _): (D, D),
            _: D,
            Pair(_, b): Pair,
            mut last: D,
        ) -> Result<(), Error> {
            exit!(exit);
            Ok(())
        }
    }

    #[test]
    fn as_in_an_async_fn() {
        let pair = || (D("a"), D("a2"));
        let whole = || Pair(D("b1"), D("b2"));
        compare(
            |exit| Box::pin(Nothing.plain(exit, pair(), D("none"), whole(), D("last"))),
            |exit| Nothing.locked(exit, pair(), D("none"), whole(), D("last")),
        );
    }
}

/// Another attribute keeps the function an `async fn`, with the patterns that it reads.
mod below_another_attribute {
    use super::*;

    #[must_use = "an attribute that stays"]
    async fn plain(exit: Exit, a: D, b: D, mut c: D, _: D) -> Result<(), Error> {
        prologue!(exit);
        drop(b);
        exit!(exit);
        Ok(())
    }

    #[distributed_lock(key = "k", wait = "forever")]
    #[must_use = "an attribute that stays"]
    async fn locked(exit: Exit, a: D, b: D, mut c: D, _: D) -> Result<(), Error> {
        drop(b);
        exit!(exit);
        Ok(())
    }

    #[test]
    fn packed() {
        compare(
            |exit| Box::pin(plain(exit, D("a"), D("b"), D("c"), D("d"))),
            |exit| Box::pin(locked(exit, D("a"), D("b"), D("c"), D("d"))),
        );
    }
}

/// A future that was never polled drops its arguments like the plain one.
#[test]
fn never_polled() {
    IS_PLAIN.set(true);
    drop(plain::named(Exit::Value, D("a"), D("b"), D("c")));
    let expected = LOG.take();
    drop(locked::named(Exit::Value, D("a"), D("b"), D("c")));
    assert_eq!(names(&LOG.take()), names(&expected));
}

/// The next holder enters after the last destructor, however long that takes.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_holder_waits_for_the_destructors() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            self.0.store(false, SeqCst);
        }
    }

    #[distributed_lock(key = "slow")]
    async fn slow(_: Slow) -> Result<(), Error> {
        Ok(())
    }

    #[distributed_lock(key = "slow")]
    async fn next(is_being_dropped: &AtomicBool) -> Result<bool, Error> {
        Ok(is_being_dropped.load(SeqCst))
    }

    let pool = LockPool::memory().await.unwrap();
    let is_being_dropped = Arc::new(AtomicBool::new(false));
    for _ in 0..5 {
        let held = Slow(Arc::clone(&is_being_dropped));
        let holder = tokio::spawn(pool.scope(slow(held)));
        let seen = pool.scope(next(&is_being_dropped)).await.unwrap();
        assert!(!seen);
        holder.await.unwrap().unwrap();
    }
}
