//! The macro's template parser, compared with the parser of `rustc`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proc_macro2::{Ident, Span};
use ra_ap_rustc_parse_format::{self as rustc, ParseMode, Parser, Position};

#[allow(dead_code, unreachable_pub)]
#[path = "../../lockattr-macros/src/template.rs"]
mod template;

use template::{Piece, Positions, Template};

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text, Positions::Refused) else {
        return;
    };
    let _ = template.separators();
    for placeholder in template.placeholders() {
        // The expansion makes these identifiers; they panic for an invalid name.
        for name in std::iter::once(&placeholder.root).chain(&placeholder.path) {
            if name.parse::<u32>().is_err() && name != "self" {
                match syn::parse_str::<Ident>(name) {
                    Ok(_) => Ident::new(name, Span::call_site()),
                    Err(_) => Ident::new_raw(name, Span::call_site()),
                };
            }
        }
    }
    if template
        .placeholders()
        .any(|placeholder| !placeholder.spec.is_empty())
    {
        // Only rustc checks format specs.
        return;
    }
    if template
        .placeholders()
        .all(|placeholder| placeholder.is_plain())
    {
        same(&template, text, |n| {
            template.placeholders().nth(n).map(|p| p.root.clone())
        });
    }
    let mut number = 0;
    let renamed = template.renamed(|_| {
        number += 1;
        format!("__lockattr_{}", number - 1)
    });
    same(&template, &renamed, |n| Some(format!("__lockattr_{n}")));
});

/// Returns whether rustc sees the same texts and placeholders.
fn same(template: &Template, text: &str, name: impl Fn(usize) -> Option<String>) {
    let mut parser = Parser::new(text, None, None, false, ParseMode::Format);
    let pieces: Vec<_> = parser.by_ref().collect();
    assert!(parser.errors.is_empty(), "{text:?}");
    let (mut texts, mut number) = (String::new(), 0);
    let mut ours = String::new();
    for piece in &pieces {
        match piece {
            rustc::Piece::Lit(text) => texts.push_str(text),
            rustc::Piece::NextArgument(argument) => {
                let Position::ArgumentNamed(found) = argument.position else {
                    panic!("a position in {text:?}");
                };
                assert_eq!(Some(found), name(number).as_deref(), "{text:?}");
                number += 1;
                texts.push('\0');
            }
        }
    }
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => ours.push_str(text),
            Piece::Placeholder(_) => ours.push('\0'),
        }
    }
    assert_eq!(texts, ours, "{text:?}");
}
