//! From the attribute and its function to the function that is compiled.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Path, parse_quote};

use crate::args::{Args, Pool};
use crate::errors::Errors;
use crate::function::Function;
use crate::key::Key;
use crate::params::Params;
use crate::timing::Timing;
use crate::written::unwrapped;

pub(crate) fn distributed_lock(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = errors.keep(syn::parse2::<Args>(unwrapped(args)));
    let function = errors.keep(syn::parse2::<Function>(item.clone()));
    let mut expanded = TokenStream::new();
    if let Some(mut args) = args {
        errors.append(std::mem::take(&mut args.errors));
        if let (Some(key), Some(function)) = (&args.key, &function) {
            let params = Params::of(&function.sig);
            key.check(&params, &mut errors);
            args.check_times(&params, &mut errors);
            check_same_lock_below(&args, key, function, &mut errors);
            check_bind(&args, &params, &mut errors);
            if errors.is_empty() {
                expanded = expand(&args, key, &params, function);
            }
        }
    }
    match errors.into_tokens() {
        // The function goes out as it came in, next to its errors: it stays known to its callers
        // and to the editor, and one mistake does not become ten.
        Some(errors) => quote!(#item #errors),
        None => expanded,
    }
}

fn check_bind(args: &Args, params: &Params, errors: &mut Errors) {
    if let Some(bind) = &args.bind
        && params.contains(&bind.to_string())
    {
        errors.at(
            bind.span(),
            format!("`{bind}` is an argument already; bind the lease to another name"),
        );
    }
}

/// The same lock twice on one function would be a wait for itself.
fn check_same_lock_below(args: &Args, key: &Key, function: &Function, errors: &mut Errors) {
    for attr in &function.attrs {
        let name = attr.path().segments.last();
        if name.is_some_and(|last| last.ident == "distributed_lock")
            && args.reentrant != Some(true)
            && let Ok(list) = attr.meta.require_list()
            && let Ok(other) = syn::parse2::<Args>(unwrapped(list.tokens.clone()))
            && other.key.is_some_and(|other| other.is_same(key))
            && Pool::text(other.pool.as_ref()) == Pool::text(args.pool.as_ref())
        {
            errors.push(syn::Error::new_spanned(
                attr,
                "this function takes the same lock twice, and would wait for itself; drop one of the two attributes",
            ));
        }
    }
}

// Input:
//     #[distributed_lock(key = "order:{order_id}", ttl = "10s")]
//     async fn charge(order_id: u64) -> Result<Receipt, Error> {
//         ...
//     }
//
// Output:
//     async fn charge(order_id: u64) -> Result<Receipt, Error> {
//         let key = { ... };
//         ::lockattr::__private::hold(
//             const { &::lockattr::__private::Spec::new(module_path!(), "charge").ttl(...) },
//             ::lockattr::__private::installed(),
//             key,
//             move |_| async move {
//                 if false {
//                     return ::lockattr::__private::never::<Result<Receipt, Error>>();
//                 }
//                 ...
//             },
//         )
//         .await
//     }
fn expand(args: &Args, key: &Key, params: &Params, function: &Function) -> TokenStream {
    let Function {
        attrs,
        vis,
        sig,
        body,
        output,
        ..
    } = function;
    let krate: Path = args
        .krate
        .clone()
        .unwrap_or_else(|| parse_quote!(::lockattr));
    let private = quote!(#krate::__private);

    // The key is made before the body takes the arguments, and in a statement of its own:
    // `format_args!` must not be alive across the await.
    let key_name = Ident::new("__lockattr_key", Span::mixed_site());
    let key = key.to_tokens(&krate, params);
    let spec = spec(args, &private, &sig.ident.to_string());
    let pool_name = Ident::new("__lockattr_pool", Span::mixed_site());
    let (pool, pool_statement) = match &args.pool {
        None => (quote!(#private::installed()), None),
        Some(Pool::Named(name)) => (quote!(#private::named(#name)), None),
        Some(Pool::Expr(place)) => {
            let at = Span::mixed_site().located_at(place.span());
            let given = located_at(quote!(#private::given), place.span());
            // In a statement of its own too: what the expression borrows must not be alive there.
            (
                quote!(#pool_name),
                Some(quote_spanned!(at=> let #pool_name = #given(&#place);)),
            )
        }
    };

    let lease = args
        .bind
        .as_ref()
        .map_or_else(|| quote!(_), |name| quote!(#name));
    let borrow = args.bind.as_ref().map(|name| quote!(let #name = &#name;));
    let body = if function.boxed {
        // What `#[async_trait]` made is a boxed future, of a type that is known.
        let body = function.braced(body.clone());
        if let Some(borrow) = &borrow {
            quote!(async move { #borrow #body.await })
        } else {
            quote!(#body)
        }
    } else {
        let edge = output.edge(&located_at(quote!(#private::never), output.span));
        let body = function.braced(quote!(#edge #borrow #body));
        quote!(async move #body)
    };

    // Located at the return type, because that is what the bounds of the call are about.
    let at = Span::mixed_site().located_at(output.span);
    let (hold, refuse) = match refuse(args, &private, function) {
        None => (quote!(#private::hold), None),
        Some(refuse) => (quote!(#private::hold_or), Some(quote!(#refuse,))),
    };
    let hold = located_at(hold, output.span);
    let call =
        quote_spanned!(at=> #hold(#spec, #pool, #key_name, #refuse move |#lease| #body).await);

    let statements = quote!(#pool_statement let #key_name = #key; #call);
    let body = if function.boxed {
        function.braced(quote!(::std::boxed::Box::pin(async move { #statements })))
    } else {
        function.braced(statements)
    };
    quote!(#(#attrs)* #vis #sig #body)
}

/// How the function's value is made out of an error; `None` where the return type says it.
fn refuse(args: &Args, private: &TokenStream, function: &Function) -> Option<TokenStream> {
    let (ty, span) = (&function.output.ty, function.output.span);
    let handler = args
        .or_else
        .as_ref()
        .map(|handler| quote!(#private::handler::<#ty, _>(#handler)));
    if !args.skips_when_busy() {
        return handler;
    }
    let error = Ident::new("__lockattr_error", Span::mixed_site());
    let refused = match handler {
        None => quote!(refused(#error)),
        Some(handler) => quote!(refused_or(#error, #handler)),
    };
    let at = Span::mixed_site().located_at(span);
    let rules = quote_spanned!(at=> (&#private::Skip::<#ty>::NEW).by_type().#refused);
    Some(quote!(|#error| {
        use #private::{Fallible as _, Infallible as _};
        #rules
    }))
}

fn spec(args: &Args, private: &TokenStream, function: &str) -> TokenStream {
    let mut spec = quote!(#private::Spec::new(::core::module_path!(), #function));
    if let Some(ttl) = &args.ttl {
        let ttl = duration(ttl, private);
        spec.extend(quote!(.ttl(#ttl)));
    }
    match &args.wait {
        None if args.skips_when_busy() => {
            let wait = literal(Duration::ZERO, private);
            spec.extend(quote!(.wait(#wait)));
        }
        None => {}
        Some(Timing::Literal(None, _)) => spec.extend(quote!(.wait_forever())),
        Some(Timing::Literal(Some(wait), _)) => {
            let wait = literal(*wait, private);
            spec.extend(quote!(.wait(#wait)));
        }
        Some(Timing::Const(wait)) => spec.extend(quote!(.wait(#wait))),
    }
    if let Some(renew) = args.renew {
        spec.extend(quote!(.renew(#renew)));
    }
    if let Some(max_hold) = &args.max_hold {
        let max_hold = duration(max_hold, private);
        spec.extend(quote!(.max_hold(#max_hold)));
    }
    if args.finishes_when_lost() {
        spec.extend(quote!(.finish_when_lost()));
    }
    if let Some(reentrant) = args.reentrant {
        spec.extend(quote!(.reentrant(#reentrant)));
    }
    if args.has_checkable_times() {
        // An item is evaluated by `cargo check` already.
        quote!(const { const SPEC: #private::Spec = #spec; &SPEC })
    } else {
        quote!(const { &#spec })
    }
}

fn duration(timing: &Timing<Duration>, private: &TokenStream) -> TokenStream {
    match timing {
        Timing::Literal(duration, _) => literal(*duration, private),
        Timing::Const(expr) => quote!(#expr),
    }
}

fn literal(duration: Duration, private: &TokenStream) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(#private::Duration::new(#seconds, #nanos))
}

/// The same tokens, resolved as before but reported elsewhere.
pub(crate) fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let relocate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.into_iter().map(relocate).collect()
}
