//! Texts of others, made harmless for a terminal.

use std::borrow::Cow;

/// Returns the text with its control characters escaped: other programs can write what they like under a
/// lock's name, and a terminal would obey it.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| -> String {
        if c.is_control() {
            c.escape_default().collect()
        } else {
            c.into()
        }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_obey() {
        assert_eq!(plain("order:42 ä"), "order:42 ä");
        assert_eq!(plain("a\x1b[2Jb\nc\u{9b}"), r"a\u{1b}[2Jb\nc\u{9b}");
    }
}
