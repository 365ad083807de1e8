//! What users of other engines than Redis write by hand.

mod etcd;
mod postgres;
mod zookeeper;

use std::time::Duration;

pub(crate) use etcd::EtcdLock;
pub(crate) use postgres::{AdvisoryLock, TABLE, TableLock};
pub(crate) use zookeeper::CuratorLock;

pub(crate) const TTL: Duration = Duration::from_secs(10);
/// How often a lock that is not told of its turn tries again.
pub(crate) const RETRY: Duration = Duration::from_millis(5);
