//! The harness of the end-to-end tests: real servers, a proxy that breaks connections, conditions
//! to wait for, and a search for secrets in whatever was said.

mod eventually;
mod proxy;
mod redis_server;
mod secrets;
mod service;
mod traces;

pub use eventually::{eventually, eventually_async};
pub use proxy::{Direction, Policy, Proxy};
pub use redis_server::{RIGHTS, RedisServer};
pub use secrets::{CANARY, find_secret};
pub use service::Service;
pub use traces::{trace_file, trace_to_file};
