//! Spans of generated tokens: which names they see, and where errors are reported.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::format_ident;

/// Makes a variable that the body cannot see.
pub(crate) fn name(name: &str) -> Ident {
    format_ident!("__lockattr_{name}", span = Span::mixed_site())
}

/// Returns the same tokens, resolved as before but reported at another place.
pub(crate) fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let relocate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.into_iter().map(relocate).collect()
}
