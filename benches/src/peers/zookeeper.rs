//! The lock of the crate `zookeeper-client`, which is that of Apache Curator.

use std::mem;

use zookeeper_client::{Acls, Client, CreateMode, LockOptions, LockPrefix};

use super::TTL;

/// One session for all locks of a process.
#[derive(Clone)]
pub(crate) struct CuratorLock(Client);

impl CuratorLock {
    pub(crate) async fn connect(hosts: &str) -> Self {
        let connector = Client::connector().with_session_timeout(TTL);
        let client = connector.connect(hosts).await;
        Self(client.expect("the server is there"))
    }

    pub(crate) async fn hold<R>(&self, key: &str, section: impl AsyncFnOnce() -> R) -> R {
        let folder = format!("/curator/{key}");
        let prefix = LockPrefix::new_curator(&folder, "lock-").expect("a path");
        let folders = CreateMode::Container.with_acls(Acls::anyone_all());
        let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(folders);
        let lock = self.0.lock(prefix, &[], options.expect("its parts fit"));
        let lock = lock.await.expect("the server is there");
        let result = section().await;
        let path = lock.lock_path().to_owned();
        // Its drop would delete the node in the background; a pair of each candidate ends with the answer.
        mem::forget(lock);
        let deleted = self.0.delete(&path, None).await;
        deleted.expect("the server is there");
        result
    }
}
