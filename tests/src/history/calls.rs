//! Groups records into calls.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use lockattr::Mode;

use super::{Event, Record};

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) process: u32,
    pub(super) id: u64,
    pub(super) key: u32,
    pub(super) wait: Duration,
    pub(super) mode: Mode,
    pub(super) requested: u64,
    pub(super) section: Option<Section>,
    /// When it was over for its caller.
    pub(super) over: Option<u64>,
    pub(super) cancelled: bool,
}

/// The time inside a body.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) entered: u64,
    pub(super) token: u64,
    /// When the lease ended for its holder, as far as the holder saw.
    pub(super) valid_until: u64,
    /// When the body was left, or its process killed.
    pub(super) left: u64,
    pub(super) write: Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    None,
    /// The process was killed before it received the answer.
    Unknown,
    Accepted,
    Rejected,
}

impl Section {
    /// Returns when the holder stopped being the holder, by its own judgement.
    pub(super) fn held_until(&self) -> u64 {
        self.left.min(self.valid_until)
    }
}

/// The life of a process.
#[derive(Debug, Default, Clone)]
pub(super) struct Life {
    pub(super) pauses: Vec<(u64, u64)>,
    /// When it was killed, or when the history ends.
    pub(super) end: u64,
    pub(super) killed: bool,
}

impl Life {
    /// Returns how long the process was stopped within a span.
    pub(super) fn paused_within(&self, from: u64, to: u64) -> u64 {
        let overlap = |(start, end): &(u64, u64)| (*end).min(to).saturating_sub((*start).max(from));
        self.pauses.iter().map(overlap).sum()
    }
}

#[derive(Debug)]
pub(super) struct Calls {
    /// In the order of their requests.
    pub(super) all: Vec<Call>,
    pub(super) lives: HashMap<u32, Life>,
    /// When a process learned that it waits on the server, and for which key.
    pub(super) queued: Vec<Queued>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub(super) at: u64,
    pub(super) process: u32,
    pub(super) key: u32,
}

impl Calls {
    pub(super) fn of(records: &[Record]) -> Self {
        let lives = lives(records);
        let mut calls: BTreeMap<(u32, u64), Call> = BTreeMap::new();
        let mut queued = Vec::new();
        for record in records {
            let id = (record.process, record.call);
            if let Event::Requested { key, wait, mode } = record.event {
                calls.insert(id, begun(record, key, wait, mode));
            } else if let Event::Queued { key } = record.event {
                let Record { at, process, .. } = *record;
                queued.push(Queued { at, process, key });
            } else if let Some(call) = calls.get_mut(&id) {
                call.add(record, lives[&record.process].end);
            }
        }
        let mut calls: Vec<Call> = calls.into_values().collect();
        calls.sort_by_key(|call| call.requested);
        Self {
            all: calls,
            lives,
            queued,
        }
    }

    /// Returns the calls that got their key, by key, in the order in which they entered.
    pub(super) fn sections(&self) -> BTreeMap<u32, Vec<(&Call, &Section)>> {
        let mut by_key: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for call in &self.all {
            if let Some(section) = &call.section {
                by_key.entry(call.key).or_default().push((call, section));
            }
        }
        for sections in by_key.values_mut() {
            sections.sort_by_key(|(_, section)| section.entered);
        }
        by_key
    }
}

impl Call {
    /// Returns when the call's waiting was over.
    pub(super) fn answered(&self) -> Option<u64> {
        let entered = self.section.as_ref().map(|section| section.entered);
        entered.or(self.over)
    }

    fn add(&mut self, record: &Record, end: u64) {
        let at = record.at;
        match (&record.event, &mut self.section) {
            (Event::Granted { token, valid_until }, section) => {
                *section = Some(Section {
                    entered: at,
                    token: *token,
                    valid_until: *valid_until,
                    left: end,
                    write: Write::None,
                });
            }
            (Event::Seen { valid_until }, Some(section)) => {
                section.valid_until = section.valid_until.max(*valid_until);
            }
            (Event::Writing, Some(section)) => section.write = Write::Unknown,
            (Event::Written { accepted: true }, Some(section)) => section.write = Write::Accepted,
            (Event::Written { accepted: false }, Some(section)) => section.write = Write::Rejected,
            (Event::Left, Some(section)) => section.left = at,
            (Event::Released | Event::Failed(_), _) => self.over = Some(at),
            (Event::Cancelled, _) => {
                self.over = Some(at);
                self.cancelled = true;
            }
            _ => {}
        }
    }
}

fn begun(record: &Record, key: u32, wait: Duration, mode: Mode) -> Call {
    Call {
        process: record.process,
        id: record.call,
        key,
        wait,
        mode,
        requested: record.at,
        section: None,
        over: None,
        cancelled: false,
    }
}

fn lives(records: &[Record]) -> HashMap<u32, Life> {
    let end = records.last().map_or(0, |record| record.at);
    let mut lives: HashMap<u32, Life> = HashMap::new();
    for record in records {
        let life = lives.entry(record.process).or_insert_with(|| Life {
            end,
            ..Life::default()
        });
        match record.event {
            Event::Paused => life.pauses.push((record.at, end)),
            Event::Resumed => {
                if let Some(pause) = life.pauses.last_mut() {
                    pause.1 = record.at;
                }
            }
            Event::Killed => {
                life.end = record.at;
                life.killed = true;
            }
            _ => {}
        }
    }
    lives
}
