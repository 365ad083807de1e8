//! The waiters of one key, in the order of arrival.

use std::collections::VecDeque;

use super::Waiter;

/// A queue that waiters leave from anywhere.
///
/// A waiter that leaves from the middle leaves a gap, so that leaving moves no others: ten thousand
/// cancelled calls would otherwise move each other ten thousand times, under the pool's mutex. The
/// ends are never gaps, and at most half of the places are.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(super) struct Waiting<C> {
    places: VecDeque<(u64, Option<Waiter<C>>)>,
    gaps: usize,
}

impl<C> Waiting<C> {
    pub(super) fn of(first: Waiter<C>) -> Self {
        Self {
            places: VecDeque::from([(first.id, Some(first))]),
            gaps: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Waiter<C>> {
        self.places.front()?.1.as_ref()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Waiter<C>> {
        self.places.front_mut()?.1.as_mut()
    }

    /// Ids grow from one waiter to the next.
    pub(super) fn push_back(&mut self, waiter: Waiter<C>) {
        self.places.push_back((waiter.id, Some(waiter)));
    }

    pub(super) fn pop_front(&mut self) -> Option<Waiter<C>> {
        let (_, waiter) = self.places.pop_front()?;
        self.trim();
        waiter
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Waiter<C>> {
        let place = self.places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let waiter = self.places[place].1.take()?;
        self.gaps += 1;
        self.trim();
        if self.gaps * 2 > self.places.len() {
            self.places.retain(|(_, waiter)| waiter.is_some());
            self.gaps = 0;
        }
        Some(waiter)
    }

    pub(super) fn into_waiters(self) -> impl Iterator<Item = Waiter<C>> {
        self.places.into_iter().filter_map(|(_, waiter)| waiter)
    }

    /// Drops the gaps at both ends.
    fn trim(&mut self) {
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
            self.gaps -= 1;
        }
        while let Some((_, None)) = self.places.back() {
            self.places.pop_back();
            self.gaps -= 1;
        }
    }
}
