//! First come, first served, as far as that is promised.

use std::collections::{HashMap, HashSet};

use lockattr::Mode;

use super::calls::{Call, Calls, Section};

/// Returns an exclusive call that was overtaken inside its process, where such calls are served strictly in
/// their order. The tasks of a process share one thread, so the order of the records is the order in
/// which they joined the queue.
pub(super) fn overtaken_at_home<'a>(
    sections: &[(&'a Call, &Section)],
) -> Option<(&'a Call, &'a Call)> {
    let mut latest: HashMap<u32, &Call> = HashMap::new();
    let mut exclusive = sections
        .iter()
        .filter(|(call, _)| call.mode == Mode::Exclusive);
    exclusive.find_map(|(call, _)| {
        let before = latest.insert(call.process, call)?;
        (before.requested > call.requested).then_some((*call, before))
    })
}

/// Returns a call whose process waited in the server's queue while other processes had more turns.
///
/// Counted from when the process has learned that it waits there: before that it has no place yet,
/// however long ago the call began. Successive grants to one process are one turn. When the first
/// call in a process gives up, it may have taken a grant with it, and with that the place.
pub(super) fn passed_over(calls: &Calls, bound: usize) -> Option<&Call> {
    let mut moments = Vec::new();
    let shared = calls.all.iter().filter(|call| call.mode != Mode::Exclusive);
    let shared: HashSet<u32> = shared.map(|call| call.key).collect();
    for place in &calls.queued {
        moments.push((place.at, place.key, Moment::Queued(place.process)));
    }
    for call in &calls.all {
        moments.push((call.requested, call.key, Moment::Requested(call)));
        if let Some(at) = call.answered() {
            moments.push((at, call.key, Moment::Answered(call)));
        }
    }
    // Each reader has a place of its own.
    moments.retain(|(_, key, _)| !shared.contains(key));
    moments.sort_by_key(|(at, ..)| *at);
    let mut queues: HashMap<u32, Queue> = HashMap::new();
    moments.into_iter().find_map(|(at, key, moment)| {
        let queue = queues.entry(key).or_default();
        match moment {
            Moment::Requested(call) => queue.waiting.push(call),
            Moment::Queued(process) => queue.join(process, at),
            Moment::Answered(call) => {
                let was_first = queue.first_of(call.process).map(|first| first.id) == Some(call.id);
                queue
                    .waiting
                    .retain(|it| (it.process, it.id) != (call.process, call.id));
                if call.section.is_some() {
                    return queue.serve(call.process, bound);
                }
                if was_first {
                    queue.leave(call.process);
                }
            }
        }
        None
    })
}

enum Moment<'a> {
    Requested(&'a Call),
    Queued(u32),
    Answered(&'a Call),
}

/// The waiters for one key.
#[derive(Default)]
struct Queue<'a> {
    /// In the order of their requests.
    waiting: Vec<&'a Call>,
    /// The places on the server.
    places: Vec<Place>,
    served: Option<u32>,
}

struct Place {
    process: u32,
    since: u64,
    /// The turns of other processes since then.
    turns: usize,
}

impl<'a> Queue<'a> {
    fn first_of(&self, process: u32) -> Option<&'a Call> {
        let mut waiting = self.waiting.iter();
        waiting.find(|call| call.process == process).copied()
    }

    fn join(&mut self, process: u32, since: u64) {
        if self.places.iter().all(|place| place.process != process) {
            self.places.push(Place {
                process,
                since,
                turns: 0,
            });
        }
    }

    fn leave(&mut self, process: u32) {
        self.places.retain(|place| place.process != process);
    }

    /// Returns a call that has let more turns pass than it must.
    fn serve(&mut self, process: u32, bound: usize) -> Option<&'a Call> {
        self.leave(process);
        if self.served.replace(process) == Some(process) {
            return None;
        }
        for place in &mut self.places {
            place.turns += 1;
        }
        let mut passed_over = self.places.iter().filter(|place| place.turns > bound);
        passed_over.find_map(|place| {
            let call = self.first_of(place.process)?;
            (call.requested < place.since).then_some(call)
        })
    }
}
