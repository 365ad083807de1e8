//! Keys that are expressions: used unchanged, unless they look like a template.

use std::fmt::Display;

use super::{Values, key};
use crate::Error;
use crate::key::Key;

const UNFILLED: &str = "it holds a placeholder, but a key that is an expression is taken as it is written: one lock for \
     all values; write the template as a literal in the attribute, `key = \"order:{id}\"`, or, if the braces of a \
     constant are meant, `key = \"{KEY}\"`";

/// Returns the key for an expression's text, unchanged.
///
/// # Errors
///
/// [`Error::InvalidKey`] when the text is empty, longer than 1 KiB, holds a control character, or
/// holds a placeholder for one of `names`; for any name, where the expression is a constant.
pub fn expression(text: &dyn Display, names: &[&str], is_constant: bool) -> Result<Key, Error> {
    let key = key(&Values::new(""), format_args!("{text}"))?;
    let is_name = |name: &str| is_constant || names.contains(&name);
    match placeholder(key.as_str(), is_name) {
        Some(at) => Err(Key::invalid(&key.as_str()[at..], UNFILLED)),
        None => Ok(key),
    }
}

/// Returns where `{name}`, `{name.path}` or `{name:spec}` begins; a doubled brace does not count.
fn placeholder(text: &str, is_name: impl Fn(&str) -> bool) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find('{').map(|at| from + at) {
        let inside = &text[at + 1..];
        if inside.starts_with('{') {
            from = at + 2;
            continue;
        }
        let end = inside.find(|c: char| c != '_' && !c.is_alphanumeric());
        if let Some((name, rest)) = end.map(|end| inside.split_at(end))
            && !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && rest.starts_with(['}', '.', ':'])
            && rest.contains('}')
            && is_name(name)
        {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, names: &[&str], is_constant: bool) -> bool {
        expression(&text, names, is_constant).is_err()
    }

    #[test]
    fn an_expression_is_taken_as_it_is_written() {
        let key = expression(&format_args!("{}:{}", 1, "a:b"), &[], false).unwrap();
        assert_eq!(key.as_str(), "1:a:b");
        for (text, part) in [("", "empty"), ("a\nb", "control")] {
            let error = expression(&text, &[], false).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_placeholder_for_an_argument_is_refused() {
        for text in [
            "a:{id}",
            "{id.name}:b",
            "{{x}}:{id:08}",
            "{x}{id}",
            "{{{id}}}",
            "{self.x}",
        ] {
            assert!(refused(text, &["id", "self"], false), "{text}");
            assert!(!refused(text, &["other"], false), "{text}");
        }
    }

    #[test]
    fn a_placeholder_in_a_constant_is_refused_whatever_its_name() {
        for text in ["a:{order_id}", "{größe}", "a:{id.0}", "a:{id:?}"] {
            assert!(refused(text, &[], true), "{text}");
        }
    }

    #[test]
    fn braces_of_another_meaning_are_kept() {
        for text in [
            r#"{"id":7}"#,
            r#"{"a":{"id":7}}"#,
            "{{id}}",
            "{ id }",
            "{id",
            "id}",
            "{}",
            "{7}",
            "[{,}]",
            "{a b}",
        ] {
            assert!(!refused(text, &["id", "a"], true), "{text}");
        }
    }

    #[test]
    fn the_error_names_the_placeholder() {
        let text = format!("{}:{{order_id}}", "x".repeat(200));
        let error = expression(&text, &["order_id"], false).unwrap_err();
        assert!(error.to_string().contains("{order_id}"), "{error}");
    }
}
