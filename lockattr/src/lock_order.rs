//! Warns of functions that take their locks in opposite orders, before two calls wait for each other.
//!
//! Like the "lockdep" of Linux it looks at who has been called under whom, so that it finds what has
//! not gone wrong yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ptr;
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing::warn;

use crate::current::{Asked, Call};
use crate::label::Label;
use crate::mode::Mode;

/// What the process has seen. There are as many sites as the program's text has, so it stays small.
static SEEN: LazyLock<Mutex<Orders>> = LazyLock::new(Mutex::default);

/// Where the program's text takes a lock: an attribute, or a request by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Site {
    label: Label,
    /// Tells attributes apart that have the same label: methods of two types. The address of its spec.
    attribute: usize,
}

impl Site {
    fn of(asked: &Asked) -> Self {
        let attribute = match asked {
            Asked::Attribute(spec) => ptr::from_ref(*spec).addr(),
            Asked::Request(_) => 0,
        };
        Self {
            label: asked.label(),
            attribute,
        }
    }
}

/// Which sites have taken a lock while which one had its own.
#[derive(Debug, Default)]
struct Orders(HashMap<Site, HashSet<Site>>);

impl Orders {
    /// Takes in that `inner` takes a lock while `outer` has one. If that is new, and it was the other
    /// way round before, returns how: from `inner` to `outer`.
    fn add(&mut self, outer: Site, inner: Site) -> Option<Vec<Site>> {
        if outer == inner || !self.0.entry(outer).or_default().insert(inner) {
            return None;
        }
        self.way(inner, outer)
    }

    /// Returns the shortest way from the outside to the inside.
    fn way(&self, from: Site, to: Site) -> Option<Vec<Site>> {
        let mut came_from = HashMap::from([(from, from)]);
        let mut next = VecDeque::from([from]);
        while let Some(site) = next.pop_front() {
            if site == to {
                let mut way = vec![to];
                while let Some(last) = way.last().filter(|last| **last != from) {
                    way.push(came_from[last]);
                }
                way.reverse();
                return Some(way);
            }
            for &inner in self.0.get(&site).into_iter().flatten() {
                came_from.entry(inner).or_insert_with(|| {
                    next.push_back(inner);
                    site
                });
            }
        }
        None
    }
}

/// Warns if this call, which is about to wait for its lock, takes it in the opposite order to calls
/// before, the first time for each pair of sites.
///
/// Calls that are shared do not keep each other out, so two of them have no order. Nor have two calls
/// of one function: their keys may have one that is not seen here.
pub(crate) fn check(call: &Call) {
    let inner = Site::of(call.asked());
    let is_shared = |call: &Call| call.asked().options().mode == Mode::Shared;
    for outer in call.holders_around() {
        if is_shared(outer) && is_shared(call) {
            continue;
        }
        let site = Site::of(outer.asked());
        let before = {
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            seen.add(site, inner)
        };
        // Not under the mutex: subscribers are foreign code.
        if let Some(before) = before {
            tell(site, inner, &before);
        }
    }
}

fn tell(outer: Site, inner: Site, before: &[Site]) {
    let before: Vec<String> = before.iter().map(|it| it.label.to_string()).collect();
    let (outer, inner) = (outer.label, inner.label);
    let before = before.join(" > ");
    warn!(
        "locks are taken in opposite orders: now `{outer} > {inner}`, before `{before}` (> means: calls while it \
         holds its lock); such calls can wait for each other: take the locks in one order, or together by \
         `lock_all`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Function;

    fn site(attribute: usize) -> Site {
        const FUNCTION: Function = Function {
            path: "m::f",
            keys: "k",
        };
        Site {
            label: Label::Function(&FUNCTION),
            attribute,
        }
    }

    #[test]
    fn each_cycle_is_found_when_it_closes() {
        let mut orders = Orders::default();
        let [a, b, c, d] = [1, 2, 3, 4].map(site);
        assert_eq!(orders.add(a, a), None);
        for (outer, inner) in [(a, b), (b, c), (c, d), (a, b), (a, d)] {
            assert_eq!(orders.add(outer, inner), None);
        }
        assert_eq!(orders.add(d, a), Some(vec![a, d]), "the shortest way");
        assert_eq!(orders.add(d, a), None, "once");
        assert_eq!(orders.add(c, a), Some(vec![a, b, c]));
        assert_eq!(orders.add(b, a), Some(vec![a, b]));
    }
}
