//! The `#[distributed_lock]` attribute of the `lockattr` crate; use it from there.

mod args;
mod arguments;
mod boxed;
mod constant;
mod duration;
mod errors;
mod expand;
mod function;
mod key;
mod key_call;
mod key_template;
mod lock;
mod output;
mod params;
mod plain;
mod refusal;
mod spans;
mod spec;
mod suggest;
mod template;
mod written;

#[cfg(test)]
mod snapshots;

use proc_macro::TokenStream;

/// Runs an `async fn` while holding a lock that the whole fleet respects.
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `key = "order:{order_id}"` | what is locked: a template over the arguments (`{self.tenant}`, `{req.user.id}`, `{id:08}`), or any expression that is `Display` | required |
/// | `key("order:{id}", id = order.id())` | the same with named values | |
/// | `keys = ["account:{from}", "account:{to}"]` | several keys instead of `key`: all of them, or none; see below | |
/// | `ttl = "10s"` | how long other calls wait after a crash; also a constant `Duration` | the pool's |
/// | `wait = "2s"` | how long to queue; `"0s"` tries once, `"forever"` never gives up | the pool's |
/// | `renew = false` | the lease ends after its ttl, however long the body runs | `true` |
/// | `max_hold = "5m"` | renewal ends after this time | none |
/// | `min_hold = "30s"` | other calls are kept out at least this long after the grant; see below | none |
/// | `min_hold_on_failure = true` | that also counts for a body that failed | `false` |
/// | `shared = true` | other shared holders may have the key at the same time | `false` |
/// | `permits = 5` | so many calls may have the key at the same time; also a constant `u32` | none |
/// | `weight = 2` | with `permits`: how many of them this call takes | `1` |
/// | `when = amount > 100` | a condition over the arguments; if it is false, the body runs without the lock; see below | none |
/// | `on_lost = "finish"` | the body runs on when its lease is lost; with `"error"` too, but the caller gets `Error::Lost` | `"cancel"` |
/// | `on_busy = "skip"` | return the default value when another call holds the lock: at once, or after `wait` | `"error"` |
/// | `on_busy = handler` | turns a `lockattr::Busy` into the function's value, after `wait`; see below | |
/// | `or_else = handler` | turns a `lockattr::Error` into the function's value; see below | `Err(error.into())` |
/// | `bind = lease` | the body sees its `&Lease` under this name; with `when` an `Option<&Lease>` | none |
/// | `pool = "reports"` | a named pool, or an expression for one: `self.locks` | the installed pool |
/// | `reentrant = true` | a task may take a key that it holds already; see below | `false` |
/// | `release = "background"` | the call returns without waiting for its release: a round trip sooner; `"await"` waits | the pool's (`"await"`) |
/// | `confirm_replicas = 1` | how many replicas must have a grant before it counts; see `RedisOptions::confirm_replicas` | the pool's (`0`) |
/// | `confirm_fsync = true` | a grant counts only once it is on the server's disk; see `RedisOptions::confirm_fsync` | the pool's (`false`) |
/// | `crate = path` | the path of the `lockattr` crate | `::lockattr` |
///
/// Values are percent-encoded in the key, so different arguments never share a lock by accident.
/// The key is computed by reference, before the body runs. To take the same lock by hand, write
/// `pool.lock(key!("order:{order_id}"))`. The text of an expression is not encoded; if it contains
/// a placeholder such as `{order_id}`, the call returns `Error::InvalidKey`.
///
/// # What is refused
///
/// Options that contradict each other are compile errors at the option: `max_hold` below `ttl`, or with
/// `renew = false`; `min_hold` above `max_hold`, or above the `ttl` of a lease that is not renewed;
/// `min_hold_on_failure` without `min_hold`; `shared` with `permits`; `weight` without `permits`, or above them; zero of
/// either; `wait = "forever"` with `on_busy`; `key` with `keys`; a key twice; a literal in `when`; `on_lost = "cancel"`
/// on a plain `fn`; `on_lost = "error"` where the return type has no room for the error. Of constants this is checked
/// when the program is built. A `wait` shorter than the `ttl` is none of them: after a crash such a call is refused.
///
/// # The function keeps its behaviour
///
/// Arguments, named or not, are dropped under the lock, in the same order as in the plain function.
/// The future is `Send` and `UnwindSafe` when the plain one is: if the value is not known to be
/// `Send`, the call does not wait for the release, which goes on in the background.
///
/// The compiler gets a function that returns a future instead of the `async fn`; clippy and rustdoc
/// read the function as it is written. If another attribute below this one may read the signature,
/// the function stays an `async fn`, and the parts of its arguments that no pattern binds are
/// dropped after the release.
///
/// Two lints are silent with the attribute: `clippy::unused_async`, because the function does wait,
/// for the lock; and `async_fn_in_trait` on a default method, outside of clippy.
///
/// # Several keys
///
/// `keys` takes all of its keys or none, as `LockPool::lock_all` does: it keeps none while it waits for another, so two
/// calls that name the same keys in different orders do not wait for each other. A key that comes twice is locked once.
/// Each key has its own fencing token, `lease.token_of("account:1")`.
///
/// # `or_else` and `on_busy`
///
/// When the lease is lost, the body is dropped with its arguments before the handler runs. So the
/// handlers get clones of the arguments that they name, made at each call. An argument that is not
/// `Clone` is a compile error. References are `Clone`.
///
/// An `on_busy` handler is called when another call holds the lock. All other errors go to `or_else`,
/// or to the caller if there is none.
///
/// # `when`
///
/// The condition is evaluated before anything is asked. If it is false, no pool is needed and the key
/// is not rendered; the body runs under the locks of the calls around it, if there are any. With
/// `bind` the body sees an `Option<&Lease>`, so that it cannot use a fencing token that is not there.
///
/// # `min_hold`
///
/// It counts for a body that finished with a value. A body failed if it returned an `Err` (of a
/// `Result`, also under another name), panicked, or was cancelled: then the lock is released at once,
/// unless `min_hold_on_failure = true`.
///
/// # Several locks
///
/// Put one attribute for each lock on the function. The topmost lock is acquired first and released
/// last. All keys and conditions see the arguments, which are dropped under all locks. Other attributes
/// stay in their order and see the function with all its locks. The attribute must be written under its own
/// name, `distributed_lock`: one under another name is expanded later, and so taken earlier.
///
/// # `reentrant`
///
/// A call nested under the same key runs under the outer call's lease. It uses its own `on_lost`,
/// `bind`, `on_busy` and `or_else`; it ignores `ttl`, `wait`, `renew`, `max_hold` and `min_hold`, because it
/// acquires nothing. If it asks for more than the outer call has (more confirmation, a mode that is
/// less shared, more permits), it fails with `Error::Config`. Nested calls that run side by side take turns. If the outer lease is over, a
/// nested call fails with `Error::Lost`.
///
/// # Plain functions
///
/// With the feature `blocking` of `lockattr` the attribute also goes on an `fn` that is not `async`,
/// which then blocks its thread while it waits for the lock. All options mean the same, except
/// `on_lost`: code that blocks cannot be cancelled. Without `on_lost` the body runs to its end, and
/// the caller gets `Error::Lost` if the lease was over by then; `"finish"` keeps the value.
///
/// No runtime is needed. On a worker of tokio's multi-thread runtime, another thread runs the
/// worker's other tasks while the call waits; the body itself blocks the worker as any such code
/// does. In a current-thread runtime, or a `LocalSet`, nothing else runs while the call waits. If the lock is
/// held by another task there, that task cannot release it: the call fails with `Error::Busy` after
/// its `wait`, so do not use `wait = "forever"` there.
///
/// Put the attribute on top of all others: attributes expand from top to bottom, and
/// `#[tokio::main]` or `#[tokio::test]` remove the `async` that it needs to see.
#[proc_macro_attribute]
pub fn distributed_lock(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::distributed_lock(args.into(), &item.into()).into()
}

/// What `lockattr::key!` expands to.
#[doc(hidden)]
#[proc_macro]
pub fn key(input: TokenStream) -> TokenStream {
    key_call::key(input.into()).into()
}

/// What `lockattr::assert_held!` expands to.
#[doc(hidden)]
#[proc_macro]
pub fn assert_held(input: TokenStream) -> TokenStream {
    key_call::assert_held(input.into()).into()
}
