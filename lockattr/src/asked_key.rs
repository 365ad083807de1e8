//! The key as it is asked for: one that cannot be locked says so when it is locked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::key;

/// What is to be locked: made by [`key!`](crate::key!) from a template, or from a text, which is
/// taken as it is written.
///
/// A text that cannot be locked makes a `Key` too. It says why in [`check`](Self::check), and gives
/// the same [`Error::InvalidKey`] when it is locked, before anything is sent.
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
    /// The key as it is written; of a key that cannot be locked, as much as there is.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the key can be locked: it is not empty, no value in it is, it is at most 1 KiB long,
    /// and it holds no control characters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`], which says what is wrong.
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

/// What `key!` expands to.
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

/// What `assert_held!(key)` expands to.
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

/// A [`Key`] out of a template, with the rules and the encoding of
/// [`#[distributed_lock]`](crate::distributed_lock).
///
/// The attribute encodes the values in its key; `pool.lock(format!(…))` takes its text as it is
/// written, so the two would not meet for a value such as `a@b.com`. `pool.lock(key!(…))` and the
/// attribute do.
///
/// Placeholders name what is in scope, fields of it (`{req.user.id}`, `{self.tenant}`), or values
/// behind the template, by name or by position; they take format specs. A value is evaluated once.
/// As in the attribute a constant (`{REGION}`, told by its spelling) is part of the template's own
/// text, and is not encoded.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::{distributed_lock, key};
///
/// #[distributed_lock(key = "user:{email}", wait = "0s")]
/// async fn rename(email: &str) -> Result<(), lockattr::Error> {
///     Ok(())
/// }
///
/// let pool = lockattr::LockPool::memory().await?;
/// let email = "a@b.com";
/// let guard = pool.lock(key!("user:{email}")).acquire().await?;
/// assert!(pool.scope(rename(email)).await.is_err_and(|error| error.is_busy()));
/// guard.release().await;
///
/// assert_eq!(key!("user:{}", email), key!("user:{email}"));
/// assert_eq!(key!("user:{email}", email = email.to_uppercase()).as_str(), "user:A%40B.COM");
/// assert_eq!(key!("{}-{:04}", "a-b", 7).as_str(), "a%2Db-0007");
/// # Ok(())
/// # }
/// ```
///
/// A name that does not exist is an error of the compiler, as is a template that could give one key
/// for different values:
///
/// ```compile_fail
/// lockattr::key!("order:{}{}", 1, 23);
/// ```
#[macro_export]
macro_rules! key {
    ($($template:tt)*) => {
        $crate::__private::key!($crate; $($template)*)
    };
}
