//! The parser of key templates takes any text apart or says what is wrong with it.
#![no_main]
#![allow(dead_code)]

#[path = "../../lockattr-macros/src/template.rs"]
mod template;

use libfuzzer_sys::fuzz_target;
use template::Template;

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else {
        return;
    };
    // Or an error.
    let _ = template.separators();
    let names = template.placeholders().count();
    // What goes to `format_args!` is a template too, of plain placeholders.
    let renamed = template.renamed(|_| "value".to_owned());
    let again = Template::parse(&renamed).expect("a template");
    assert_eq!(again.placeholders().count(), names);
    assert!(again.placeholders().all(template::Placeholder::is_plain));
});
