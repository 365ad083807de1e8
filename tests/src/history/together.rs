//! Who may have a key at the same time.

use std::collections::HashMap;

use lockattr::Mode;

use super::calls::{Call, Calls, Section};

/// Returns the sections of a key that began while others had it that keep them out; mostly with one whose
/// lease was valid then, if there is any.
pub(super) fn overlaps<'a>(sections: &[(&'a Call, &'a Section)]) -> Vec<(&'a Call, &'a Call)> {
    let mut found = Vec::new();
    let mut inside: Vec<(&Call, &Section)> = Vec::new();
    for (call, section) in sections {
        inside.retain(|(_, earlier)| earlier.left > section.entered);
        let is_valid = |(_, earlier): &&(&Call, &Section)| {
            earlier.held_until() > section.entered && section.valid_until > section.entered
        };
        let valid: Vec<&Call> = inside
            .iter()
            .filter(is_valid)
            .map(|(call, _)| *call)
            .collect();
        let all: Vec<&Call> = inside.iter().map(|(call, _)| *call).collect();
        let earlier = in_the_way(&valid, call.mode).or_else(|| in_the_way(&all, call.mode));
        found.extend(earlier.map(|earlier| (earlier, *call)));
        inside.push((*call, *section));
    }
    found
}

/// Returns one of the calls beside which another one must not come in this mode.
fn in_the_way<'a>(others: &[&'a Call], mode: Mode) -> Option<&'a Call> {
    let keeps_out = |other: &&&Call| match (other.mode, mode) {
        (Mode::Shared, Mode::Shared) => false,
        (Mode::Permits { permits, .. }, Mode::Permits { permits: same, .. }) => permits != same,
        _ => true,
    };
    if let Some(other) = others.iter().find(keeps_out) {
        return Some(other);
    }
    let taken: u32 = others.iter().map(|other| weight(other.mode)).sum();
    match mode {
        Mode::Permits {
            permits, weight, ..
        } if taken + weight > permits => others.first().copied(),
        _ => None,
    }
}

fn weight(mode: Mode) -> u32 {
    match mode {
        Mode::Permits { weight, .. } => weight,
        _ => 0,
    }
}

/// Added to the number of a call that wants two keys: the history of the second key has this number.
pub const OF_OTHER_KEY: u64 = 1 << 40;

/// Returns a call that got one of its keys without the other.
pub(super) fn half_granted(calls: &Calls) -> Option<(&Call, &Call)> {
    let by_id: HashMap<(u32, u64), &Call> = calls
        .all
        .iter()
        .map(|call| ((call.process, call.id), call))
        .collect();
    calls.all.iter().find_map(|second| {
        let first = by_id.get(&(second.process, second.id.checked_sub(OF_OTHER_KEY)?))?;
        let is_half = first.section.is_some() != second.section.is_some();
        // Between two records the process may have been killed.
        let may_be = calls.lives[&second.process].killed;
        (is_half && !may_be).then_some((*first, second))
    })
}
