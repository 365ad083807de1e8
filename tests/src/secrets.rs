//! The secrets that must never be shown: the password of the lock service, and owner ids.

/// The password that all pools of the tests log in with.
pub const CANARY: &str = "kanarienvogel";

/// Digits of the random part of an owner id.
const DIGITS: usize = 32;

/// Returns the first secret in a text, with some text before it, made harmless.
///
/// An owner id is recognised by its random part: exactly 32 hexadecimal digits.
#[must_use]
pub fn find_secret(text: &[u8]) -> Option<String> {
    let canary = text
        .windows(CANARY.len())
        .position(|part| part == CANARY.as_bytes());
    let mut at = 0;
    let owner_id = text
        .split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        .find_map(|run| {
            let start = at;
            at += run.len() + 1;
            (run.len() == DIGITS).then_some(start)
        });
    let (what, at) = match (canary, owner_id) {
        (Some(at), _) => ("the password", at),
        (None, Some(at)) => ("an owner id", at),
        (None, None) => return None,
    };
    let before = &text[at.saturating_sub(200)..at];
    let before = String::from_utf8_lossy(before).replace('\n', " | ");
    Some(format!("{what} after: {before}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_secrets_are_found() {
        let owner = "0123456789abcdef0123456789abcdef-1f-0";
        for (text, what) in [
            (format!("url=redis://locker:{CANARY}@h/"), "the password"),
            (format!("held by\n{owner}:17"), "an owner id"),
            (owner.to_owned(), "an owner id"),
        ] {
            let found = find_secret(text.as_bytes()).unwrap();
            assert!(found.starts_with(what), "{found}");
            assert!(
                find_secret(found.as_bytes()).is_none(),
                "it is not repeated"
            );
        }
    }

    #[test]
    fn harmless_texts_are_no_secrets() {
        for text in [
            "",
            "security-f8954f8b042f7f4c",
            "commit 96a32480000000000000000000000000000000ff",
            "kanarien",
        ] {
            assert_eq!(find_secret(text.as_bytes()), None);
        }
    }
}
