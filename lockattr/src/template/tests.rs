//! Values must not collide, escape their placeholder, or make the key grow without bound.

use std::fmt;

use proptest::prelude::*;

use crate::Error;
use crate::key::Key;
use crate::template::{Values, key};

/// Strings that imitate encodings, separators, braces or blanks.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("%"),
        Just("%2"),
        Just("%3A"),
        Just("%25"),
        Just(":"),
        Just("-"),
        Just("z"),
        Just("zz"),
        Just("x"),
        Just("y"),
        Just("{"),
        Just("}"),
        Just("{b}"),
        Just("A"),
        Just("7A"),
        Just("0"),
        Just("\0"),
        Just("\n"),
        Just("é"),
        Just("\u{202e}"),
        Just(" "),
        Just("/"),
        Just("~"),
        Just("."),
        Just("_"),
    ];
    prop_oneof![
        4 => prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat()),
        1 => "\\PC{1,12}",
    ]
}

/// Renders two values, as the expansion does it for one template.
type Render = fn(&str, &str) -> Key;

macro_rules! templates {
    ($($separators:literal, $template:literal;)+) => {
        [$(
            ($template, |a, b| {
                let values = Values::new($separators);
                key(&values, format_args!($template, values.value(a), values.value(b))).unwrap()
            }),
        )+]
    };
}

/// Separators that are never in a value, safe characters, letters, and texts that begin like an
/// encoded character.
const TEMPLATES: [(&str, Render); 5] = templates! {
    "", "{}:{}";
    "-", "{}-{}";
    "z", "x{}zz{}y";
    "z", "{}0z{}";
    "_", "{}%_{}";
};

proptest! {
    #[test]
    fn different_values_never_give_equal_keys(a in hostile(), b in hostile(), c in hostile(), d in hostile()) {
        for (template, render) in TEMPLATES {
            prop_assert_eq!(
                (&a, &b) == (&c, &d), render(&a, &b) == render(&c, &d), "{}", template);
        }
    }

    #[test]
    fn shifting_text_from_one_value_to_the_next_changes_the_key(
        a in hostile(), b in hostile(), c in hostile(), separator in prop::sample::select(vec!["", ":", "-", "z", "zz", "_"]),
    ) {
        let (ab, bc) = (format!("{a}{separator}{b}"), format!("{b}{separator}{c}"));
        prop_assume!((&ab, &c) != (&a, &bc));
        for (template, render) in TEMPLATES {
            prop_assert_ne!(render(&ab, &c), render(&a, &bc), "{}", template);
        }
    }

    #[test]
    fn values_leave_only_unreserved_characters_and_percent_signs(a in hostile(), b in hostile()) {
        for (template, render) in TEMPLATES {
            let key = render(&a, &b);
            prop_assert!(key.as_str().bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || b"-._~%:".contains(&byte)
            }), "{}: {}", template, key);
        }
    }
}

fn reason(result: Result<Key, Error>) -> &'static str {
    match result {
        Err(Error::InvalidKey { reason, .. }) => reason,
        other => panic!("expected an invalid key, got {other:?}"),
    }
}

#[test]
fn the_templates_own_text_stays_and_the_values_are_encoded() {
    let values = Values::new("");
    let id = values.value("a:b{c}%ü");
    assert_eq!(
        key(&values, format_args!("order:{{{id}}}"))
            .unwrap()
            .as_str(),
        "order:{a%3Ab%7Bc%7D%25%C3%BC}"
    );
}

#[test]
fn format_specs_reach_the_value() {
    let values = Values::new("");
    let (n, kind, text) = (
        values.value(&255_u16),
        values.value(&Some(1)),
        values.value("ab"),
    );
    let rendered = key(
        &values,
        format_args!("{n:06x}/{n:#b}/{n:o}/{n:X}/{n:e}/{kind:?}/{text:>4}/{text:.1}"),
    );
    assert_eq!(
        rendered.unwrap().as_str(),
        "0000ff/0b11111111/377/FF/2.55e2/Some%281%29/%20%20ab/a"
    );
}

#[test]
fn an_empty_value_is_refused_though_the_next_one_is_not_empty() {
    let values = Values::new("");
    let (a, b) = (values.value(""), values.value("b"));
    assert!(reason(key(&values, format_args!("{a}:{b}"))).contains("empty"));
}

#[test]
fn the_longest_key_is_1024_bytes() {
    let values = Values::new("");
    let (fits, over) = ("k".repeat(1022), "k".repeat(1023));
    let (fits, over) = (values.value(&fits), values.value(&over));
    assert_eq!(
        key(&values, format_args!("o:{fits}"))
            .unwrap()
            .as_str()
            .len(),
        1024
    );
    assert!(reason(key(&values, format_args!("o:{over}"))).contains("1 KiB"));
}

/// Writes until the sink returns an error.
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("more")?;
        }
    }
}

#[test]
fn a_long_value_is_cut_off_instead_of_rendered() {
    let values = Values::new("");
    let endless = values.value(&Endless);
    assert!(reason(key(&values, format_args!("{endless}"))).contains("1 KiB"));
}

/// Ignores errors of the sink, and reports success.
struct Deaf;

impl fmt::Display for Deaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f.write_str(&"x".repeat(2000));
        Ok(())
    }
}

#[test]
fn a_display_that_ignores_errors_gets_no_shortened_key() {
    let values = Values::new("");
    let deaf = values.value(&Deaf);
    assert!(reason(key(&values, format_args!("{deaf}"))).contains("1 KiB"));
}

/// Always returns an error.
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

#[test]
fn a_display_that_fails_is_an_error_and_no_panic() {
    let values = Values::new("");
    let broken = values.value(&Broken);
    assert!(reason(key(&values, format_args!("{broken}"))).contains("Display"));
}
