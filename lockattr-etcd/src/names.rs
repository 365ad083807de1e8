//! The names in etcd.
//!
//! | name | what |
//! | --- | --- |
//! | `<prefix>/locks/<key>/<owner>` | an owner that has the key, or waits for it: the oldest has it |
//! | `<prefix>/tombstones/<owner>` | an owner whose acquires are refused |
//!
//! `/` and `%` in a key are percent-encoded, so that no key's folder is in another's, and two keys have
//! two names. The encoding never changes: fleets that name a lock differently do not exclude each other.

use lockattr::backend::OwnerId;
use percent_encoding::percent_decode_str;

#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

/// The names of the owners of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder(Vec<u8>);

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(crate) fn folder(&self, key: &str) -> Folder {
        let mut name = self.beginning(key);
        name.push(b'/');
        Folder(name)
    }

    /// The beginning of the folders of all keys that begin so.
    pub(crate) fn beginning(&self, text: &str) -> Vec<u8> {
        let text = text.replace('%', "%25").replace('/', "%2F");
        format!("{}/locks/{text}", self.prefix).into_bytes()
    }

    pub(crate) fn tombstone(&self, owner: &OwnerId) -> Vec<u8> {
        format!("{}/tombstones/{owner}", self.prefix).into_bytes()
    }

    /// A name that is never there.
    pub(crate) fn probe(&self) -> Vec<u8> {
        format!("{}/probe", self.prefix).into_bytes()
    }

    /// The key of such a name.
    pub(crate) fn key_of(&self, name: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(name).ok()?;
        let rest = text.strip_prefix(&*self.prefix)?.strip_prefix("/locks/")?;
        let (key, _) = rest.split_once('/')?;
        let key = percent_decode_str(key).decode_utf8().ok()?;
        Some(key.into_owned())
    }
}

impl Folder {
    pub(crate) fn name(&self, owner: &OwnerId) -> Vec<u8> {
        [&*self.0, owner.to_string().as_bytes()].concat()
    }

    pub(crate) fn start(&self) -> Vec<u8> {
        self.0.clone()
    }

    pub(crate) fn end(&self) -> Vec<u8> {
        end_of(&self.0)
    }
}

/// The end of the range of all names that begin so.
pub(crate) fn end_of(beginning: &[u8]) -> Vec<u8> {
    // No byte of a text is 0xff.
    let mut end = beginning.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &[u8]) -> &str {
        std::str::from_utf8(name).unwrap()
    }

    /// Golden: two fleets that name a lock differently do not exclude each other.
    #[test]
    fn names_never_change() {
        let names = Names::new("shop");
        let folder = names.folder("order:42/a%2F b//é");
        assert_eq!(
            text(&folder.start()),
            "shop/locks/order:42%2Fa%252F b%2F%2Fé/"
        );
        assert_eq!(
            text(&folder.end()),
            "shop/locks/order:42%2Fa%252F b%2F%2Fé0"
        );
        assert_eq!(text(&names.beginning("a/")), "shop/locks/a%2F");
        assert_eq!(text(&end_of(b"shop/locks/a")), "shop/locks/b");
    }

    #[test]
    fn no_folder_is_in_another_and_no_two_keys_share_one() {
        let names = Names::new("p");
        let keys = [
            "a", "a/", "a/b", "a%2F", "a%2Fb", "a%", "%", "/", "ab", "a/b/c",
        ];
        for one in keys {
            for other in keys {
                let (left, right) = (names.folder(one).start(), names.folder(other).start());
                assert_eq!(left.starts_with(&right), one == other, "{one} {other}");
                let begins = left.starts_with(&names.beginning(other));
                assert_eq!(begins, one.starts_with(other), "{one} {other}");
            }
            let mut name = names.folder(one).start();
            name.extend_from_slice(b"owner");
            assert_eq!(names.key_of(&name).as_deref(), Some(one));
        }
        assert!(names.key_of(b"p/tombstones/x").is_none());
    }
}
