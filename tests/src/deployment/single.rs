//! One server. It has nobody to take its place.

use std::time::Duration;

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

    fn replaces_masters(&self, _: bool) {}

    fn hand_over(&self, _: usize) {
        unreachable!("a single server has no replica");
    }

    fn take_over(&self, _: usize) {
        unreachable!("a single server has no replica");
    }

    fn is_replaced(&self, _: usize) {
        unreachable!("a single server has no replica");
    }

    fn missing(&self) -> Option<String> {
        (!self.is_up()).then(|| "it is down".to_owned())
    }

    fn move_slot(&self, _: &mut fastrand::Rng, _: Duration) {
        unreachable!("a single server has no slots");
    }
}
