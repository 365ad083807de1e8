//! Whose turn it is: the local queue of each key.
//!
//! Only the front of a queue talks to the lock service, so a key costs a process the same however
//! many of its tasks want it, and they are served in the order in which they came.

use std::collections::{HashMap, VecDeque};

use crate::key::Key;

#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: HashMap<Key, VecDeque<u64>>,
}

impl Turns {
    /// Joins the end of the key's queue.
    pub(super) fn join(&mut self, key: &Key, id: u64) {
        match self.queues.get_mut(key) {
            Some(queue) => queue.push_back(id),
            None => drop(self.queues.insert(key.clone(), VecDeque::from([id]))),
        }
    }

    /// The one whose turn it is, and how many are in the queue.
    pub(super) fn front(&self, key: &Key) -> Option<(u64, usize)> {
        let queue = self.queues.get(key)?;
        queue.front().map(|front| (*front, queue.len()))
    }

    /// Leaves the queue; gives the new front if this was the old one.
    pub(super) fn leave(&mut self, key: &Key, id: u64) -> Option<u64> {
        let queue = self.queues.get_mut(key)?;
        let place = queue.iter().position(|queued| *queued == id)?;
        queue.remove(place);
        if queue.is_empty() {
            self.queues.remove(key);
            return None;
        }
        (place == 0).then(|| queue[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_leaves_and_the_next_one_has_its_turn() {
        let key = Key::new("k").unwrap();
        let mut turns = Turns::default();
        for id in 1..=3 {
            turns.join(&key, id);
        }
        assert_eq!(turns.front(&key), Some((1, 3)));
        assert_eq!(turns.leave(&key, 2), None);
        assert_eq!(turns.leave(&key, 1), Some(3));
        assert_eq!(turns.leave(&key, 3), None);
        assert_eq!(turns.front(&key), None);
        assert!(turns.queues.is_empty());
    }
}
