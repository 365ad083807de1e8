//! The names of nodes: keys, places in the queue, and the fencing tokens that come from them.

use lockattr::Mode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::failure::{Asked, Trouble};

/// How many tokens one node is good for.
pub(crate) const TOKENS_PER_NODE: u64 = 1 << 8;
/// Beyond this a token would not fit into 64 bits.
const EPOCHS: u64 = 1 << 24;

/// What stands for itself in the name of a node.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b':')
    .remove(b'@')
    .remove(b'=')
    .remove(b'+');

/// Writes a key as the name of one node. Two keys never have the same; no result contains `/` or a dot,
/// so none is `.` or `..`.
pub(crate) fn node_of(key: &str) -> String {
    utf8_percent_encode(key, PLAIN).to_string()
}

/// Reads what [`node_of`] wrote; `None` for any other name.
pub(crate) fn key_of(node: &str) -> Option<String> {
    let key = percent_decode_str(node).decode_utf8().ok()?;
    (!key.is_empty() && node_of(&key) == node).then(|| key.into_owned())
}

/// Everything before the sequence number of an owner's node. The session is part of it: a node of the
/// same owner in another session is another node.
pub(crate) fn place_prefix(owner: &str, session: i64, mode: Mode) -> String {
    let mode = match mode {
        Mode::Shared => "s".to_owned(),
        Mode::Permits {
            permits, weight, ..
        } => format!("p{permits}.{weight}"),
        _ => "x".to_owned(),
    };
    format!("{owner}~{session:x}~{mode}~")
}

/// The node of one owner that has a key or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    sequence: i64,
}

impl Place {
    /// Reads a node's name; `None` for a node of another program.
    pub(crate) fn read(name: &str) -> Option<Self> {
        let mut parts = name.rsplitn(3, '~');
        let sequence = parts.next()?.parse().ok()?;
        let mode = match parts.next()? {
            "x" => Mode::Exclusive,
            "s" => Mode::Shared,
            permits => {
                let (permits, weight) = permits.strip_prefix('p')?.split_once('.')?;
                Mode::permits(permits.parse().ok()?, weight.parse().ok()?)
            }
        };
        parts.next()?.split_once('~')?;
        Some(Self {
            name: name.to_owned(),
            mode,
            sequence,
        })
    }

    /// Negative if this one came before `other`. The server counts in 32 bits and goes on with the
    /// smallest number after the largest: of two nodes that exist together, the nearer side tells.
    fn after(&self, other: &Self) -> i64 {
        let after = self.sequence.wrapping_sub(other.sequence);
        let is_short = [self, other]
            .iter()
            .all(|place| i32::try_from(place.sequence).is_ok());
        if is_short {
            #[expect(clippy::cast_possible_truncation, reason = "serial numbers of 32 bits")]
            let after = after as i32;
            after.into()
        } else {
            after
        }
    }
}

/// The places of a key's holders and waiters, in their order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) places: Vec<Place>,
}

/// Where an owner stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has the key.
    Holds,
    /// The key is used in a mode that does not go with its own.
    OtherMode(Mode),
    /// It waits until this node is gone; or, where that does not suffice, until any node changes.
    Waits(Option<String>),
    /// It has no node.
    Absent,
}

impl Line {
    /// # Errors
    ///
    /// A node that this program did not make: who holds the key is not known then.
    pub(crate) fn read(names: &[String]) -> Asked<Self> {
        let places: Option<Vec<Place>> = names.iter().map(|name| Place::read(name)).collect();
        let mut places = places.ok_or_else(|| {
            Trouble::refused(
                "beside the places of lockattr there is a node of another program, or of another \
                 version: give the locks a chroot of their own",
            )
        })?;
        if let Some(any) = places.first().cloned() {
            places.sort_by_key(|place| place.after(&any));
        }
        Ok(Self { places })
    }

    /// How many of the first ones have the key together.
    pub(crate) fn holders(&self) -> usize {
        let Some(first) = self.places.first() else {
            return 0;
        };
        let modes = self.places.iter().map(|place| place.mode);
        match first.mode {
            Mode::Shared => modes.take_while(|mode| *mode == Mode::Shared).count(),
            Mode::Permits { permits, .. } => {
                let mut left = permits;
                let fits = |mode: Mode| match mode {
                    Mode::Permits {
                        permits: others,
                        weight,
                        ..
                    } if others == permits => left.checked_sub(weight).map(|rest| left = rest),
                    _ => None,
                };
                modes.map_while(fits).count()
            }
            _ => 1,
        }
    }

    /// Whether others wait.
    pub(crate) fn is_contended(&self) -> bool {
        self.places.len() > self.holders()
    }

    /// Returns the node whose name begins so.
    pub(crate) fn find(&self, prefix: &str) -> Option<&Place> {
        self.places
            .iter()
            .find(|place| place.name.starts_with(prefix))
    }

    /// Where an owner would stand that came now.
    pub(crate) fn standing_of_newcomer(&self, mode: Mode) -> Standing {
        let mut with_it = self.clone();
        with_it.places.push(Place {
            name: String::new(),
            mode,
            sequence: 0,
        });
        with_it.standing("")
    }

    pub(crate) fn standing(&self, name: &str) -> Standing {
        let Some(index) = self.places.iter().position(|place| place.name == name) else {
            return Standing::Absent;
        };
        let mine = self.places[index].mode;
        if index < self.holders() {
            return Standing::Holds;
        }
        let first = self.places[0].mode;
        if !go_together(first, mine) {
            return Standing::OtherMode(first);
        }
        let ahead = &self.places[..index];
        Standing::Waits(match mine {
            // Readers ahead may come in together with this one.
            Mode::Shared => ahead
                .iter()
                .rev()
                .find(|place| place.mode != Mode::Shared)
                .map(|writer| writer.name.clone()),
            Mode::Permits { .. } => None,
            _ => ahead.last().map(|place| place.name.clone()),
        })
    }
}

/// Whether the calls of one key may use both.
fn go_together(one: Mode, other: Mode) -> bool {
    match (one, other) {
        (
            Mode::Permits { permits, .. },
            Mode::Permits {
                permits: others, ..
            },
        ) => permits == others,
        (Mode::Permits { .. }, _) | (_, Mode::Permits { .. }) => false,
        _ => true,
    }
}

/// The first fencing token of a node, from the number of the transaction that created it: those grow
/// over all nodes and all restarts. `None` once there were 2^24 leaders.
pub(crate) fn first_token(czxid: i64) -> Option<u64> {
    let czxid = u64::try_from(czxid).ok()?;
    let (epoch, count) = (czxid >> 32, czxid & u64::from(u32::MAX));
    (epoch < EPOCHS && czxid > 0).then_some((epoch << 40) | (count << 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(names: &[&str]) -> Line {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Line::read(&names).unwrap()
    }

    #[test]
    fn each_key_has_a_node_of_its_own() {
        let keys = [
            ".",
            "..",
            "a/b",
            "a%2Fb",
            "zookeeper",
            "ü",
            "a b",
            "order:42",
            "a.b",
        ];
        for key in keys {
            let node = node_of(key);
            assert!(!node.contains('/') && !node.contains('.'), "{node}");
            assert_eq!(key_of(&node).as_deref(), Some(key));
        }
        for foreign in ["", "%", "%2", "%2f", "%41", "a.b", "%FF", "%probe-1"] {
            assert_eq!(key_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for mode in [Mode::Exclusive, Mode::Shared, Mode::permits(3, 2)] {
            let name = format!("{}0000000007", place_prefix("ab-1-0", -2, mode));
            let place = Place::read(&name).unwrap();
            assert_eq!((place.mode, place.sequence), (mode, 7));
        }
        for foreign in ["lock-0000000001", "a~1~y~1", "a~1~x~", "1~x~1", "a~1~p3~1"] {
            assert_eq!(Place::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_order_survives_the_overflow_of_the_server_s_counter() {
        let line = line(&["c~1~x~-2147483648", "a~1~x~2147483646", "b~1~x~2147483647"]);
        let owners: Vec<&str> = line.places.iter().map(|place| &place.name[..1]).collect();
        assert_eq!(owners, ["a", "b", "c"]);
    }

    #[test]
    fn who_holds_and_who_waits_for_whom() {
        let waits = |name: &str| Standing::Waits(Some(name.to_owned()));
        let writers = line(&["b~1~x~2", "a~1~x~1", "c~1~x~3"]);
        assert_eq!(writers.standing("a~1~x~1"), Standing::Holds);
        assert_eq!(writers.standing("c~1~x~3"), waits("b~1~x~2"));
        assert_eq!(writers.standing("d~1~x~4"), Standing::Absent);
        let mixed = line(&["a~1~s~1", "b~1~s~2", "c~1~x~3", "d~1~s~4", "e~1~s~5"]);
        assert_eq!((mixed.holders(), mixed.is_contended()), (2, true));
        assert_eq!(mixed.standing("c~1~x~3"), waits("b~1~s~2"));
        assert_eq!(mixed.standing("e~1~s~5"), waits("c~1~x~3"));
        let permits = line(&["a~1~p3.1~1", "b~1~p3.3~2", "c~1~p3.1~3", "d~1~x~4"]);
        assert_eq!(permits.holders(), 1);
        assert_eq!(permits.standing("c~1~p3.1~3"), Standing::Waits(None));
        let newcomer = |line: &Line, mode| line.standing_of_newcomer(mode);
        assert_eq!(newcomer(&line(&[]), Mode::Exclusive), Standing::Holds);
        let readers = line(&["a~1~s~1"]);
        assert_eq!(newcomer(&readers, Mode::Shared), Standing::Holds);
        assert_eq!(newcomer(&readers, Mode::Exclusive), waits("a~1~s~1"));
        let other = Standing::OtherMode(Mode::permits(3, 1));
        assert_eq!(permits.standing("d~1~x~4"), other);
    }

    #[test]
    fn tokens_grow_with_the_transactions() {
        let first = |czxid| first_token(czxid).unwrap();
        assert!(first(1) >= TOKENS_PER_NODE);
        assert!(first(2) >= first(1) + TOKENS_PER_NODE);
        assert!(first(1 << 32) >= first(u32::MAX.into()) + TOKENS_PER_NODE);
        assert_eq!(first_token(0), None);
        assert_eq!(first_token(-1), None);
        assert!(first_token((1 << 56) - 1).is_some());
        assert_eq!(first_token(1 << 56), None);
    }
}
