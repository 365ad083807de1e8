//! The keys that one call locks together.

use std::{iter, mem};

use crate::Error;
use crate::key::Key;

/// At least one key, in order and each once: then all calls mean the same by the first key, and none
/// waits for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    first: Key,
    // Does not allocate for the many calls that lock one key.
    others: Vec<Key>,
}

impl Keys {
    /// # Errors
    ///
    /// That of the first key that has one; [`Error::Config`] if there is no key.
    pub(crate) fn new(keys: impl IntoIterator<Item = Result<Key, Error>>) -> Result<Self, Error> {
        let mut keys = keys.into_iter();
        let Some(mut first) = keys.next().transpose()? else {
            return Err(Error::config(
                "keys",
                "there is none, so there is nothing to lock; name one key or more",
            ));
        };
        let mut others = keys.collect::<Result<Vec<_>, _>>()?;
        if let Some(least) = others.iter_mut().min().filter(|least| **least < first) {
            mem::swap(least, &mut first);
        }
        others.retain(|key| *key != first);
        others.sort_unstable();
        others.dedup();
        Ok(Self { first, others })
    }

    pub(crate) fn first(&self) -> &Key {
        &self.first
    }

    pub(crate) fn is_one(&self) -> bool {
        self.others.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key> {
        iter::once(&self.first).chain(&self.others)
    }
}

impl From<Key> for Keys {
    fn from(first: Key) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Result<Vec<String>, Error> {
        let keys = Keys::new(texts.iter().map(|text| Key::new(*text)))?;
        Ok(keys.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn they_are_in_order_and_each_is_there_once() {
        for texts in [
            &["a", "b", "c"][..],
            &["c", "b", "a"],
            &["b", "a", "c", "a", "b"],
            &["b", "b", "a", "c"],
            &["c", "c", "b", "a", "a"],
        ] {
            assert_eq!(keys(texts).unwrap(), ["a", "b", "c"], "{texts:?}");
        }
        assert_eq!(keys(&["a", "a"]).unwrap(), ["a"]);
    }

    #[test]
    fn none_and_a_wrong_one_are_errors() {
        let none = keys(&[]).unwrap_err();
        assert!(
            matches!(
                none,
                Error::Config {
                    setting: "keys",
                    ..
                }
            ),
            "{none}"
        );
        let wrong = keys(&["a", ""]).unwrap_err();
        assert!(matches!(wrong, Error::InvalidKey { .. }), "{wrong}");
    }
}
