//! The harness of the end-to-end tests: real servers, a proxy that breaks connections, and
//! conditions to wait for.

mod eventually;
mod proxy;
mod redis_server;
mod service;

pub use eventually::{eventually, eventually_async};
pub use proxy::{Direction, Policy, Proxy};
pub use redis_server::RedisServer;
pub use service::Service;
