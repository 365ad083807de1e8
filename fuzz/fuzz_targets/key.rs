//! Different values never make one key, and no value changes the cluster slot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockattr::__private::{Key, Values, key};

type Render = fn(&str, &str) -> Option<Key>;

macro_rules! templates {
    ($($separators:literal, $template:literal;)+) => {
        [$(
            |a, b| {
                let values = Values::new($separators);
                key(&values, format_args!($template, values.value(a), values.value(b))).ok()
            },
        )+]
    };
}

const TEMPLATES: [Render; 6] = templates! {
    "", "{}:{}";
    "-", "{}-{}";
    "z", "x{}zz{}y";
    "z", "{}0z{}";
    "_", "{}%_{}";
    "", "{{{}}}{{{}}}";
};

fuzz_target!(|texts: (&str, &str, &str, &str)| {
    let (a, b, c, d) = texts;
    for (at, render) in TEMPLATES.into_iter().enumerate() {
        let (left, right) = (render(a, b), render(c, d));
        if let (Some(left), Some(right)) = (&left, &right) {
            assert_eq!((a, b) == (c, d), left.as_str() == right.as_str());
        }
        // Only an empty value or too long a key is refused.
        let longest = 3 * (a.len() + b.len()) + 8;
        assert!(left.is_some() || a.is_empty() || b.is_empty() || longest > 1024);
        for key in [left, right].into_iter().flatten() {
            check(&key, at == 5);
        }
    }
    if let Ok(key) = Key::new(a) {
        check_name(&key);
    }
});

fn check(key: &Key, has_braces: bool) {
    let text = key.as_str();
    assert!(!text.is_empty() && text.len() <= 1024);
    assert!(text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || b"-._~%:".contains(&byte)
            || has_braces && b"{}".contains(&byte)
    }));
    assert!(text.matches(['{', '}']).count() == if has_braces { 4 } else { 0 });
    check_name(key);
}

/// A cluster node finds the library's own hash tag.
fn check_name(key: &Key) {
    let name = lockattr::fuzzing::lock_name("shop", key);
    let (before, rest) = name.split_once('{').expect("a tag");
    let (tag, after) = rest.split_once('}').expect("a tag");
    assert_eq!((before, after), ("shop:", &*format!(":{}", key.as_str())));
    assert!(tag.len() == 3 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!name.contains(char::is_control));
}
