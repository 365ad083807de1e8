//! Different values never give one key, and no key leaves its slot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockattr::__private::{Key, Values, key};

fn render(a: &str, b: &str) -> Option<Key> {
    let values = Values::new("-");
    key(&values, format_args!("{}-x:{}", values.value(a), values.value(b))).ok()
}

fuzz_target!(|values: (&str, &str, &str, &str)| {
    let (a, b, c, d) = values;
    let (Some(one), Some(other)) = (render(a, b), render(c, d)) else {
        return;
    };
    assert_eq!(one == other, (a, b) == (c, d), "{one} and {other}");
    for key in [&one, &other] {
        let name = lockattr::fuzzing::name(key.as_str()).expect("it is a key");
        assert!(name.is_ascii() && !name.contains(char::is_whitespace));
    }
    let _ = lockattr::fuzzing::name(a);
});
