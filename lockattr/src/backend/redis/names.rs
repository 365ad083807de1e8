//! The names on the server.
//!
//! ```text
//! <prefix>:{<bucket>}:<key>            the lock
//! <prefix>:{<bucket>}#fence            the last fencing token of the bucket
//! <prefix>:{<bucket>}#queue:<key>      the waiters for the lock
//! <prefix>:{<bucket>}#tomb:<owner id>  a tombstone
//! <prefix>:{<bucket>}#probe              nothing: the name of questions to the server itself
//! <prefix>:wake:<pool><link>           the channel of a connection, which notifies its waiters
//! ```
//!
//! The bucket in braces comes first, so all names of a script lie in one cluster slot, and braces
//! in a key do not change it. The character after the closing brace separates locks from other
//! names, so no key can be taken for anything else. Neither the hash nor the number of buckets may
//! ever change: two fleets that name a lock differently do not exclude each other.

use std::fmt::Write as _;

use crate::backend::OwnerId;
use crate::key::Key;

pub(super) const BUCKETS: u16 = 1024;
/// How many slots a cluster has.
const SLOTS: u16 = 16384;

#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
    channels: String,
}

/// The meaning of a name.
pub(super) enum Name<'a> {
    Lock(&'a Key),
    Fence,
    Queue(&'a Key),
    Tombstone(&'a OwnerId),
}

impl Names {
    pub(super) fn new(prefix: String) -> Self {
        let channels = format!("{prefix}:wake:");
        Self { prefix, channels }
    }

    /// Writes a name into `text`, in place of its content.
    pub(super) fn write(&self, bucket: u16, name: &Name<'_>, text: &mut String) {
        text.clear();
        text.push_str(&self.prefix);
        text.push_str(":{");
        for digit in [bucket >> 8, bucket >> 4, bucket] {
            let digit = char::from_digit(u32::from(digit & 0xf), 16);
            text.push(digit.expect("less than sixteen"));
        }
        text.push('}');
        match name {
            Name::Lock(key) => {
                text.push(':');
                text.push_str(key.as_str());
            }
            Name::Fence => text.push_str("#fence"),
            Name::Queue(key) => {
                text.push_str("#queue:");
                text.push_str(key.as_str());
            }
            Name::Tombstone(owner) => {
                write!(text, "#tomb:{owner}").expect("a String takes everything");
            }
        }
    }

    /// The name of a lock.
    pub(super) fn lock(&self, bucket: u16, key: &Key) -> String {
        let mut text = String::new();
        self.write(bucket, &Name::Lock(key), &mut text);
        text
    }

    /// The pattern of `SCAN` for the locks whose keys begin so.
    pub(super) fn locks_of(&self, beginning: &str) -> String {
        let mut pattern = String::new();
        let literally = |text: &str, pattern: &mut String| {
            for c in text.chars() {
                if matches!(c, '*' | '?' | '[' | ']' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
        };
        literally(&self.prefix, &mut pattern);
        pattern.push_str(":{???}:");
        literally(beginning, &mut pattern);
        pattern.push('*');
        pattern
    }

    /// Returns the key of a lock; `None` for any other name.
    pub(super) fn key_of(&self, name: &str) -> Option<Key> {
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix(":{")?;
        let (_, key) = rest.split_once("}:")?;
        let key = Key::new(key).ok()?;
        (self.lock(bucket(key.as_str()), &key) == name).then_some(key)
    }

    /// A name that nothing has, for what is asked of the server itself.
    pub(super) fn probe(&self, bucket: u16) -> String {
        format!("{}:{{{bucket:03x}}}#probe", self.prefix)
    }

    /// Returns the beginning of every channel's name.
    pub(super) fn channels(&self) -> &str {
        &self.channels
    }
}

pub(super) fn bucket(key: &str) -> u16 {
    crc16(key.as_bytes()) % BUCKETS
}

/// The slot of a cluster in which all names of a bucket are: what stands in braces counts.
pub(super) fn slot(bucket: u16) -> u16 {
    let digits = [bucket >> 8, bucket >> 4, bucket]
        .map(|digit| b"0123456789abcdef"[usize::from(digit & 0xf)]);
    crc16(&digits) % SLOTS
}

/// CRC-16/XMODEM, the checksum that Redis Cluster uses for its slots.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{LeaseId, OwnerIds};

    fn written(names: &Names, bucket: u16, name: &Name<'_>) -> String {
        let mut text = "what was there before".to_owned();
        names.write(bucket, name, &mut text);
        text
    }

    #[test]
    fn golden_names_never_change() {
        let names = Names::new("shop".to_owned());
        let lock = |key: &str| {
            let key = Key::new(key).unwrap();
            names.lock(bucket(key.as_str()), &key)
        };
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(lock("123456789"), "shop:{1c3}:123456789");
        assert_eq!(lock("order:42"), "shop:{1f3}:order:42");
        assert_eq!(lock("a:{b}"), "shop:{144}:a:{b}");
        // As CLUSTER KEYSLOT has it.
        assert_eq!((slot(0x1c3), slot(0), slot(0x3ff)), (10972, 13923, 12569));
        assert_eq!(written(&names, 5, &Name::Fence), "shop:{005}#fence");
        let key = Key::new("order:42").unwrap();
        let queue = written(&names, 5, &Name::Queue(&key));
        assert_eq!(queue, "shop:{005}#queue:order:42");
        assert_eq!(names.channels(), "shop:wake:");
        let owner = OwnerIds::from_bits([1; 16]).first(LeaseId(255));
        assert_eq!(
            written(&names, 5, &Name::Tombstone(&owner)),
            format!("shop:{{005}}#tomb:{}-ff-0", "01".repeat(16))
        );
    }

    #[test]
    fn locks_are_told_from_other_names() {
        let names = Names::new("sh*p".to_owned());
        assert_eq!(names.locks_of(r"a[1]:\"), r"sh\*p:{???}:a\[1\]:\\*");
        let key = |name: &str| names.key_of(name).map(|key| key.to_string());
        assert_eq!(key("sh*p:{1f3}:order:42").as_deref(), Some("order:42"));
        assert_eq!(key("sh*p:{144}:a:{b}").as_deref(), Some("a:{b}"));
        for other in [
            "shop:{1f3}:order:42",
            "sh*p:{1f4}:order:42",
            "sh*p:{1f3}#queue:order:42",
            "sh*p:{1f3}#fence",
            "sh*p:{1f3}:",
            "sh*p:wake:0",
        ] {
            assert_eq!(key(other), None, "{other}");
        }
    }

    proptest::proptest! {
        /// No key leaves its slot, no two keys share a name, and a lock's name is no other thing's
        /// name.
        #[test]
        fn names_are_of_their_bucket_and_of_their_key(one in r"\PC{1,40}", other in r"[{}#:a]{1,8}") {
            let names = Names::new("shop".to_owned());
            let (Ok(one), Ok(other)) = (Key::new(one), Key::new(other)) else {
                return Ok(());
            };
            let all = |key: &Key| {
                let owner = OwnerIds::from_bits([1; 16]).first(LeaseId(1));
                let bucket = bucket(key.as_str());
                let of_key = [Name::Lock(key), Name::Queue(key)].map(|name| written(&names, bucket, &name));
                let rest = [Name::Fence, Name::Tombstone(&owner)].map(|name| written(&names, bucket, &name));
                (bucket, of_key, rest)
            };
            let (bucket, [lock, queue], rest) = all(&one);
            let tag = format!("shop:{{{bucket:03x}}}");
            for name in [&lock, &queue, &rest[0], &rest[1]] {
                assert!(name.starts_with(&tag), "{name}");
            }
            let (_, [other_lock, other_queue], other_rest) = all(&other);
            assert_eq!(lock == other_lock, one == other);
            assert_eq!(queue == other_queue, one == other);
            for name in rest.iter().chain(&other_rest).chain([&queue, &other_queue]) {
                assert_ne!(&lock, name);
            }
        }
    }
}
