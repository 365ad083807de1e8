//! `key!` and `assert_held!`: templates over any names in scope.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Path, Result, Token};

use crate::key_template::{KeyTemplate, Names};
use crate::template::Positions;
use crate::written::{Written, unwrapped};

/// Expands `$crate; "…", …` to a `Key`.
pub(crate) fn key(input: TokenStream) -> TokenStream {
    expand(input, |input, krate| {
        let template = KeyTemplate::parse(input, Positions::Counted)?;
        let key = template.to_tokens(krate, Names::Scope);
        Ok(used(&quote!(#krate::__private::user_key), &key))
    })
}

/// Expands `$crate; "…", …` or `$crate; key` to the assertion.
pub(crate) fn assert_held(input: TokenStream) -> TokenStream {
    expand(input, |input, krate| {
        let key = match only_expr(input) {
            Some(key) => {
                input.parse::<TokenStream>()?;
                quote_spanned!(key.span()=> #krate::__private::checked(&#key))
            }
            None => KeyTemplate::parse(input, Positions::Counted)?.to_tokens(krate, Names::Scope),
        };
        Ok(used(&quote!(#krate::__private::assert_held), &key))
    })
}

/// A statement of its own, so that the values' borrows end before the rest of the user's statement,
/// which may await.
fn used(by: &TokenStream, key: &TokenStream) -> TokenStream {
    let name = Ident::new("__lockattr_key", Span::mixed_site());
    quote!({ let #name = #by(#key); #name })
}

/// Returns a single expression that is not a template.
fn only_expr(input: ParseStream<'_>) -> Option<Expr> {
    let ahead = input.fork();
    let expr = ahead.parse().ok()?;
    ahead.parse::<Option<Token![,]>>().ok()?;
    (ahead.is_empty() && matches!(Written::of(&expr), Written::Nothing)).then_some(expr)
}

fn expand(
    input: TokenStream,
    expand: impl FnOnce(ParseStream<'_>, &Path) -> Result<TokenStream>,
) -> TokenStream {
    let parse = |input: ParseStream<'_>| {
        let krate = input.parse::<TokenTree>()?;
        let krate: Path = syn::parse2(krate.into())?;
        input.parse::<Token![;]>()?;
        if input.is_empty() {
            return Err(Error::new(
                input.span(),
                "a template is missing: what is being locked? Write `\"order:{order_id}\"`",
            ));
        }
        expand(input, &krate)
    };
    parse
        .parse2(unwrapped(input))
        .unwrap_or_else(|error| error.to_compile_error())
}
