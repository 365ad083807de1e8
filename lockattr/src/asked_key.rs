//! The key that a caller asks for. If it cannot be locked, the error comes when it is locked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::key;

/// A name to lock: made by [`key!`](crate::key!) from a template, or from a text, which is used
/// unchanged.
///
/// A text that cannot be locked makes a `Key` too. [`check`](Self::check) returns the reason;
/// locking returns the same [`Error::InvalidKey`], before anything is sent.
///
/// # Examples
///
/// ```
/// use lockattr::{Key, key};
///
/// let name = "a@b.com";
/// assert_eq!(key!("user:{name}").as_str(), "user:a%40b.com");
/// assert_eq!(Key::from("user:a@b.com").as_str(), "user:a@b.com");
/// assert!(Key::from("").check().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    text: Arc<str>,
    problem: Option<&'static str>,
}

impl Key {
    /// Returns the key's text; if the key cannot be locked, as much of the text as there is.
    ///
    /// # Examples
    ///
    /// ```
    /// let id = 42;
    /// assert_eq!(lockattr::key!("order:{id}").as_str(), "order:42");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Checks that the key can be locked: neither the key nor a value in it is empty, it is at most
    /// 1 KiB long, and it holds no control characters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], with the reason.
    ///
    /// # Examples
    ///
    /// ```
    /// let name = "";
    /// let invalid = lockattr::key!("user:{name}").check().unwrap_err();
    /// assert!(matches!(invalid, lockattr::Error::InvalidKey { .. }));
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        match self.problem {
            None => Ok(()),
            Some(problem) => Err(key::Key::invalid(&self.text, problem)),
        }
    }

    pub(crate) fn checked(&self) -> Result<key::Key, Error> {
        self.check()?;
        key::Key::new(Arc::clone(&self.text))
    }
}

/// Makes the result of `key!`.
pub fn user_key(rendered: Result<key::Key, Error>) -> Key {
    match rendered {
        Ok(key) => Key {
            text: key.shared(),
            problem: None,
        },
        Err(Error::InvalidKey { key, reason }) => Key {
            text: key,
            problem: Some(reason),
        },
        Err(_) => unreachable!("a key is rendered or invalid"),
    }
}

/// Returns the key of `assert_held!(key)`, if it can be locked.
///
/// # Errors
///
/// [`Error::InvalidKey`]
pub fn checked(key: &Key) -> Result<key::Key, Error> {
    key.checked()
}

impl From<Arc<str>> for Key {
    fn from(text: Arc<str>) -> Self {
        let problem = key::problem(&text);
        Self { text, problem }
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

macro_rules! from_texts {
    ($($text:ty),+) => {$(
        impl From<$text> for Key {
            fn from(text: $text) -> Self {
                Arc::<str>::from(text).into()
            }
        }
    )+};
}

from_texts!(&str, &mut str, String, Box<str>, Cow<'_, str>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
