//! The harness of the end-to-end tests: real servers, a proxy that breaks connections, conditions
//! to wait for, campaigns of many processes whose histories are checked, and a search for secrets
//! in all output.

mod authority;
pub mod campaign;
mod deployment;
mod etcd;
mod eventually;
mod fenced_store;
pub mod history;
mod lines;
mod network;
pub mod postgres;
mod preload;
mod processor_time;
mod program;
mod proxy;
mod quorum;
mod redis_cluster;
mod redis_server;
pub mod replicated;
mod secrets;
mod sentinels;
mod server_clock;
mod server_info;
mod service;
pub mod storm;
mod traces;
mod twemproxy;
mod zookeeper_server;

pub use authority::Authority;
pub use deployment::{Deployed, Deployment, Name, Purpose, Server};
pub use etcd::{Etcd, EtcdMember, EtcdVersion};
pub(crate) use eventually::is_soon;
pub use eventually::{eventually, eventually_async};
pub use fenced_store::FencedStore;
pub use lines::Lines;
pub use network::{Host, Network};
pub use preload::Preload;
pub use processor_time::processor_time;
pub use proxy::{Direction, Policy, Proxy};
pub use quorum::Quorum;
pub use redis_cluster::{CLUSTER_RIGHTS, RedisCluster};
pub use redis_server::{RIGHTS, RedisServer};
pub use secrets::{CANARY, find_secret};
pub use sentinels::{MASTER_NAME, SENTINEL_RIGHTS, Sentinel, Sentinels};
pub use server_clock::ServerClock;
pub use service::Service;
pub(crate) use traces::trace_layer;
pub use traces::{trace_file, trace_to_file};
pub use twemproxy::Twemproxy;
pub use zookeeper_server::{ZooKeeperNode, ZooKeepers};
