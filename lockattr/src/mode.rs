//! Who else may have a key at the same time.

use std::fmt;

/// Who else may have a key while a lease of it is held.
///
/// All calls of a key use [`Exclusive`](Self::Exclusive) and [`Shared`](Self::Shared), or all use
/// [`Permits`](Self::Permits) with the same number.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lockattr::Error> {
/// use lockattr::Mode;
///
/// let pool = lockattr::LockPool::memory().await?;
/// let reader = pool.lock("prices").shared().await?;
/// assert_eq!(reader.mode(), Mode::Shared);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Nobody else: a writer.
    #[default]
    Exclusive,
    /// Other shared holders: readers.
    Shared,
    /// Others with permits, while there are enough of them.
    #[non_exhaustive]
    Permits {
        /// How many permits the key has; at least 1.
        permits: u32,
        /// How many this holder takes, all at once; at least 1.
        weight: u32,
    },
}

impl Mode {
    /// Permits with this weight, of which there are so many.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockattr::Mode;
    ///
    /// assert_eq!(Mode::permits(5, 2).to_string(), "permits = 5");
    /// ```
    pub const fn permits(permits: u32, weight: u32) -> Self {
        Self::Permits { permits, weight }
    }

    pub(crate) fn is_exclusive(self) -> bool {
        self == Self::Exclusive
    }

    /// Whether calls of one key may use both.
    pub(crate) fn goes_with(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::Permits { permits, .. },
                Self::Permits {
                    permits: others, ..
                },
            ) => permits == others,
            (Self::Permits { .. }, _) | (_, Self::Permits { .. }) => false,
            _ => true,
        }
    }

    /// Whether a call that asks for `nested` may run under a lease of this mode.
    pub(crate) fn covers(self, nested: Self) -> bool {
        match (self, nested) {
            (Self::Exclusive, _) | (Self::Shared, Self::Shared) => true,
            (
                Self::Permits { permits, weight },
                Self::Permits {
                    permits: all,
                    weight: part,
                },
            ) => permits == all && part <= weight,
            _ => false,
        }
    }
}

/// Whether holders in these modes may have a key at the same time.
#[cfg(test)]
pub(crate) fn are_compatible(modes: &[Mode]) -> bool {
    let Some((first, others)) = modes.split_first() else {
        return true;
    };
    match first {
        Mode::Exclusive => others.is_empty(),
        Mode::Shared => others.iter().all(|other| other == first),
        Mode::Permits { permits, .. } => {
            let weight = |mode: &Mode| match mode {
                Mode::Permits {
                    permits: same,
                    weight,
                } if same == permits => Some(*weight),
                _ => None,
            };
            let taken: Option<Vec<u32>> = modes.iter().map(weight).collect();
            taken.is_some_and(|taken| taken.iter().sum::<u32>() <= *permits)
        }
    }
}

/// As the option of the attribute.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exclusive => f.write_str("exclusive"),
            Self::Shared => f.write_str("shared"),
            Self::Permits { permits, .. } => write!(f, "permits = {permits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_call_gets_no_more_than_the_outer_one_has() {
        let permits = |permits, weight| Mode::Permits { permits, weight };
        for (outer, nested, is_covered) in [
            (Mode::Exclusive, Mode::Exclusive, true),
            (Mode::Exclusive, Mode::Shared, true),
            (Mode::Exclusive, permits(3, 2), true),
            (Mode::Shared, Mode::Shared, true),
            (Mode::Shared, Mode::Exclusive, false),
            (Mode::Shared, permits(3, 1), false),
            (permits(3, 2), permits(3, 1), true),
            (permits(3, 2), permits(3, 3), false),
            (permits(3, 2), permits(4, 1), false),
            (permits(3, 3), Mode::Exclusive, false),
        ] {
            assert_eq!(outer.covers(nested), is_covered, "{nested} in {outer}");
        }
    }
}
