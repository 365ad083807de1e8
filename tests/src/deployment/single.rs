//! One server. It has nobody to take its place.

use super::Deployed;
use crate::RedisServer;

impl Deployed for RedisServer {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn nodes(&self) -> &[RedisServer] {
        std::slice::from_ref(self)
    }

    fn node_mut(&mut self, _: usize) -> &mut RedisServer {
        self
    }

    fn masters(&self) -> Vec<usize> {
        vec![0]
    }

    fn missing(&self) -> Option<String> {
        (!self.is_up()).then(|| "it is down".to_owned())
    }
}
