//! The `#[distributed_lock]` attribute of the `lockattr` crate; use it from there.

mod args;
mod arguments;
mod boxed;
mod duration;
mod errors;
mod expand;
mod function;
mod key;
mod output;
mod params;
mod refusal;
mod suggest;
mod template;

#[cfg(test)]
mod snapshots;

use proc_macro::TokenStream;

/// Runs an `async fn` while holding a lock that the whole fleet respects.
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `key = "order:{order_id}"` | what is locked: a template over the arguments (`{self.tenant}`, `{req.user.id}`, `{id:08}`), or any expression that is `Display` | required |
/// | `key("order:{id}", id = order.id())` | the same with values of its own | |
/// | `ttl = "10s"` | how long others wait after a crash; also a constant `Duration` | the pool's |
/// | `wait = "2s"` | how long to queue; `"0s"` tries once, `"forever"` never gives up | the pool's |
/// | `renew = false` | the lease ends after its ttl, however long the body runs | `true` |
/// | `max_hold = "5m"` | renewal ends after this time | none |
/// | `on_lost = "finish"` | the body runs on when its lease is lost | `"cancel"` |
/// | `on_busy = "skip"` | return the default value when somebody else holds the lock | `"error"` |
/// | `or_else = handler` | makes the function's value out of a `lockattr::Error` | `Err(error.into())` |
/// | `bind = lease` | the body sees its `&Lease` under this name | none |
/// | `pool = "reports"` | a named pool, or a place that holds one: `self.locks` | the installed pool |
/// | `reentrant = true` | a task may take a key that it holds already | `false` |
/// | `crate = path` | where the `lockattr` crate is found | `::lockattr` |
///
/// Values are percent-encoded in the key, so different arguments never share a lock by accident.
/// The key is computed before the body runs, by reference.
///
/// The attribute goes on top of all others: attributes expand from top to bottom, and
/// `#[tokio::main]` or `#[tokio::test]` remove the `async` that it needs to see.
#[proc_macro_attribute]
pub fn distributed_lock(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::distributed_lock(args.into(), &item.into()).into()
}
