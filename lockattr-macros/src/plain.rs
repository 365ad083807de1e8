//! Functions that are not `async`: what they may look like.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::{Error, Result, ReturnType, Signature, Type, TypeParamBound};

use crate::args::{Args, OnLost};
use crate::errors::Errors;

const NOT_ASYNC: &str = "`#[distributed_lock]` needs an `async fn`, or the feature `blocking` of `lockattr`, with which a \
                         plain `fn` blocks its thread; if this is an `async fn`, an attribute above (such as \
                         `#[tokio::main]`) has already rewritten it: move `#[distributed_lock]` to the top";
const FUTURE: &str = "this function returns before its future runs, and would hold the lock only until then; make it an \
                      `async fn`";
const AWAIT: &str = "a plain `fn` cannot `.await`; make it an `async fn`";
const CANCEL: &str = "code that blocks its thread cannot be cancelled; without `on_lost` the body runs to its end, and the \
                      caller gets `Error::Lost`; `\"finish\"` keeps the value";

/// Refuses what cannot run to its end under the lock.
pub(crate) fn check_signature(sig: &Signature) -> Result<()> {
    if !cfg!(feature = "blocking") {
        return Err(Error::new(sig.fn_token.span, NOT_ASYNC));
    }
    match &sig.output {
        ReturnType::Type(_, ty) if is_future(ty) => Err(Error::new_spanned(ty, FUTURE)),
        _ => Ok(()),
    }
}

/// Refuses `.await`, which the expansion would allow.
pub(crate) fn check_body(body: &TokenStream) -> Result<()> {
    find_await(body).map_or(Ok(()), |at| Err(Error::new(at, AWAIT)))
}

/// Refuses `on_lost = "cancel"`, for a plain function.
pub(crate) fn check_on_lost(args: &Args, errors: &mut Errors) {
    if let (Some(OnLost::Cancel), Some(at)) = (args.on_lost, args.on_lost_at) {
        errors.at(at, CANCEL);
    }
}

fn is_future(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(ty) => ty.bounds.iter().any(
            |bound| matches!(bound, TypeParamBound::Trait(bound) if names_future(&bound.path)),
        ),
        Type::Path(path) => names_future(&path.path),
        Type::Paren(paren) => is_future(&paren.elem),
        Type::Group(group) => is_future(&group.elem),
        _ => false,
    }
}

/// `Future`, and the usual names for a boxed one: `BoxFuture`, `LocalBoxFuture`.
fn names_future(path: &syn::Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| last.ident.to_string().ends_with("Future"))
}

/// Finds an `.await` of the function's own: not inside of an `async` block, function or closure, nor
/// in a macro's call, whose meaning only the macro knows.
fn find_await(tokens: &TokenStream) -> Option<Span> {
    let (mut after_dot, mut after_bang, mut is_async) = (false, false, false);
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(word) if word == "await" && after_dot && !is_async => {
                return Some(word.span());
            }
            TokenTree::Ident(word) if word == "async" => is_async = true,
            TokenTree::Group(group) => {
                let is_block = group.delimiter() == Delimiter::Brace;
                if !after_bang
                    && !is_async
                    && let Some(at) = find_await(&group.stream())
                {
                    return Some(at);
                }
                is_async &= !is_block;
            }
            // The end of an `async` closure without braces.
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => is_async = false,
            _ => {}
        }
        let is = |wanted| matches!(&token, TokenTree::Punct(punct) if punct.as_char() == wanted);
        after_dot = is('.');
        // `!` of a macro's call stands after a name: `!(a).await` has none.
        after_bang = is('!');
    }
    None
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn only_the_functions_own_await_is_found() {
        for (body, is_found) in [
            (quote!(f().await), true),
            (
                quote!(if a {
                    g(f().await)
                }),
                true,
            ),
            (quote!(async { f().await }; f().await?), true),
            (quote!(let g = async |x| x.await; g.await), true),
            (quote!(spawn(async move { f().await })), false),
            (
                quote!(
                    async fn g(x: u8) -> u8 {
                        f().await
                    },
                    g()
                ),
                false,
            ),
            (quote!(let g = async |x| x.await; block_on(g)), false),
            (quote!(stream! { f().await }), false),
            (quote!(r#await(); a.b), false),
        ] {
            assert_eq!(find_await(&body).is_some(), is_found, "{body}");
        }
    }
}
