//! A release comes before an acquire of the same key that was submitted after it: calls of gRPC have no
//! order among each other.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{Shared, join_all};
use tokio::sync::oneshot;

/// The releases that have no answer yet, by what names them.
pub(crate) struct Order<N> {
    open: HashMap<Arc<str>, Vec<Release<N>>>,
}

struct Release<N> {
    name: N,
    over: Shared<oneshot::Receiver<()>>,
    /// Its drop is the end.
    _ends: oneshot::Sender<()>,
}

impl<N: Eq + Hash> Order<N> {
    pub(crate) fn new() -> Self {
        Self {
            open: HashMap::new(),
        }
    }

    pub(crate) fn begin(&mut self, key: &Arc<str>, name: N) {
        let (ends, over) = oneshot::channel();
        let release = Release {
            name,
            over: over.shared(),
            _ends: ends,
        };
        self.open.entry(Arc::clone(key)).or_default().push(release);
    }

    /// It was answered, or is given up.
    pub(crate) fn end(&mut self, key: &str, name: &N) {
        if let Some(open) = self.open.get_mut(key) {
            open.retain(|release| release.name != *name);
            if open.is_empty() {
                self.open.remove(key);
            }
        }
    }

    /// Waits for the releases of this key that were begun before.
    pub(crate) fn turn(&self, key: &str) -> Option<impl Future<Output = ()> + use<N>> {
        let open = self.open.get(key)?;
        let earlier: Vec<_> = open.iter().map(|release| release.over.clone()).collect();
        Some(join_all(earlier).map(drop))
    }
}
