//! Who comes first is served first, as far as that is promised.

use std::collections::HashMap;

use super::calls::{Call, Calls, Section};

/// Inside a process, calls are served strictly in their order. Its tasks share one thread, so the
/// order of the records is that in which they joined the queue.
pub(super) fn overtaken_at_home<'a>(
    sections: &[(&'a Call, &Section)],
) -> Option<(&'a Call, &'a Call)> {
    let mut latest: HashMap<u32, &Call> = HashMap::new();
    sections.iter().find_map(|(call, _)| {
        let before = latest.insert(call.process, call)?;
        (before.requested > call.requested).then_some((*call, before))
    })
}

/// A call whose process waited in the server's queue while other processes had more turns.
///
/// Counted from when the process has heard that it waits there: before that it has no place yet,
/// however long ago the call began. Grants to one process after the other are one turn. A call that
/// is given up may have taken a grant with it that nobody recorded, and the place is its process'
/// next one then.
pub(super) fn passed_over(calls: &Calls, bound: usize) -> Option<&Call> {
    let mut queues: HashMap<u32, Queue> = HashMap::new();
    let mut moments: Vec<(u64, u32, u32, Moment)> = Vec::new();
    for place in &calls.queued {
        moments.push((place.at, place.key, place.process, Moment::Queued));
    }
    for call in &calls.all {
        let (answered, moment) = match (&call.section, call.over) {
            (Some(section), _) => (section.entered, Moment::Entered),
            (None, Some(over)) => (over, Moment::GivenUp),
            (None, None) => continue,
        };
        moments.push((answered, call.key, call.process, moment));
    }
    moments.sort_by_key(|(at, ..)| *at);
    for (at, key, process, moment) in moments {
        let queue = queues.entry(key).or_default();
        match moment {
            Moment::Queued => queue.join(process, at),
            Moment::GivenUp => queue.leave(process),
            Moment::Entered => {
                let Some(other) = queue.serve(process, bound) else {
                    continue;
                };
                let waits = |call: &&Call| {
                    let answer = call.section.as_ref().map(|s| s.entered).or(call.over);
                    (call.key, call.process) == (key, other.process)
                        && call.requested < other.since
                        && answer.is_none_or(|answer| answer > at)
                };
                if let Some(call) = calls.all.iter().find(waits) {
                    return Some(call);
                }
            }
        }
    }
    None
}

enum Moment {
    Queued,
    Entered,
    GivenUp,
}

/// The processes that wait for one key on the server.
#[derive(Default)]
struct Queue {
    places: Vec<Place>,
    served: Option<u32>,
}

#[derive(Clone, Copy)]
struct Place {
    process: u32,
    since: u64,
    /// Of others, meanwhile.
    turns: usize,
}

impl Queue {
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

    /// Gives back whoever has let pass more than it has to.
    fn serve(&mut self, process: u32, bound: usize) -> Option<Place> {
        self.leave(process);
        if self.served.replace(process) == Some(process) {
            return None;
        }
        for place in &mut self.places {
            place.turns += 1;
        }
        self.places
            .iter()
            .find(|place| place.turns > bound)
            .copied()
    }
}
