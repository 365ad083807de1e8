//! How many servers are a majority, and what is said when there is none.

use std::fmt::Write as _;

use crate::backend::{BackendError, BackendErrorKind};

/// Returns how many of so many servers are a majority.
pub(crate) fn majority(servers: usize) -> usize {
    servers / 2 + 1
}

/// Says what each server said that is of no use; `None` for one that has not answered in time.
pub(crate) fn no_majority<'a>(
    servers: usize,
    said: impl IntoIterator<Item = (&'a str, Option<&'a BackendError>)>,
) -> BackendError {
    let needed = majority(servers);
    let mut text = format!("no majority: {needed} of {servers} servers are needed");
    let mut kind = None;
    for (name, error) in said {
        match error {
            Some(error) => {
                kind.get_or_insert(error.kind());
                write!(text, "; {name}: {error}")
            }
            None => write!(text, "; {name}: no answer in time"),
        }
        .expect("a String takes everything");
    }
    BackendError::new(kind.unwrap_or(BackendErrorKind::Timeout), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        let all: Vec<usize> = (1..=5).map(majority).collect();
        assert_eq!(all, [1, 2, 2, 3, 3]);
    }

    #[test]
    fn each_server_is_named_with_what_it_said() {
        let refused = BackendError::new(BackendErrorKind::Unreachable, "connection refused");
        let error = no_majority(3, [("a:1", None), ("b:2", Some(&refused))]);
        assert_eq!(error.kind(), BackendErrorKind::Unreachable);
        assert_eq!(
            error.to_string(),
            "no majority: 2 of 3 servers are needed; a:1: no answer in time; b:2: connection refused"
        );
        assert_eq!(
            no_majority(3, [("a:1", None)]).kind(),
            BackendErrorKind::Timeout
        );
    }
}
