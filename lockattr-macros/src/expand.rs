//! Turns the attribute and its function into the function that is compiled.

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Path, ReturnType, Type, parse_quote};

use crate::args::{Args, Pool, Release};
use crate::arguments::Arguments;
use crate::boxed::{Boxed, rename_self};
use crate::errors::Errors;
use crate::function::{Form, Function};
use crate::key::Key;
use crate::params::Params;
use crate::plain;
use crate::refusal::Refusal;
use crate::spans::{located_at, name};
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
            let params = &function.params;
            key.check(params, &mut errors);
            args.check_times(params, &mut errors);
            check_same_lock_below(&args, key, function, &mut errors);
            check_bind(&args, params, &mut errors);
            if matches!(function.form, Form::Plain) {
                plain::check_on_lost(&args, &mut errors);
            }
            if errors.is_empty() {
                expanded = expand(&args, key, function);
            }
        }
    }
    match errors.into_tokens() {
        // Emit the function unchanged next to its errors: callers and the editor still find it, and
        // one mistake does not become ten.
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

/// Refuses the same lock twice on one function: it would wait for itself.
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
//     async fn charge(order_id: u64, Json(card): Json<Card>) -> Result<Receipt, Error> {
//         ...
//     }
//
// Output:
//     #[cfg(not(any(clippy, doc)))]
//     fn charge(order_id: u64, card: Json<Card>) -> impl Future<Output = Result<Receipt, Error>> {
//         let (output, body) = ::lockattr::__private::Output::of(async move {
//             if false {
//                 return ::lockattr::__private::never::<Result<Receipt, Error>>();
//             }
//             let order_id = order_id;
//             let card = card;
//             let Json(card) = card;
//             let key = { ... };
//             ::lockattr::__private::enter(::lockattr::__private::installed(), key).await;
//             match () {
//                 () => { ... }
//             }
//         });
//         let ending = (&output).ending();
//         ::lockattr::__private::locked(
//             const { &::lockattr::__private::Spec::new(module_path!(), "charge").ttl(...) },
//             ending,
//             ::lockattr::__private::refused,
//             body,
//         )
//     }
//
//     #[cfg(any(clippy, doc))]
//     async fn charge(order_id: u64, Json(card): Json<Card>) -> Result<Receipt, Error> {
//         if false { ... }
//         ...
//     }
fn expand(args: &Args, key: &Key, function: &Function) -> TokenStream {
    let krate: Path = args
        .krate
        .clone()
        .unwrap_or_else(|| parse_quote!(::lockattr));
    let private = quote!(#krate::__private);
    let Function {
        attrs,
        vis,
        sig,
        output,
        ..
    } = function;
    let mut sig = sig.clone();
    let is_read = attrs.iter().any(reads_the_signature);
    // `impl Future<Output = !>` is not stable.
    let stays_async = sig.asyncness.is_some() && (is_read || matches!(output.ty, Type::Never(_)));
    let refusal = Refusal::of(args, &krate, function);
    let edge = output.edge(&located_at(quote!(#private::never), output.span));
    let set_handler = &refusal.inside;
    let is_plain = matches!(function.form, Form::Plain);
    let inside = |bind, is_async| {
        let enter = enter(args, bind, is_async, key, &krate, &function.params);
        quote!(#set_handler #enter)
    };
    let as_read = as_read(args, &inside(None, !is_plain), &refusal, &krate, function);
    let inside = inside(args.bind.as_ref(), true);

    let (pack, body) = match &function.form {
        Form::AsyncFn | Form::Plain => {
            let Arguments { pack, bind } =
                Arguments::take_out_of(&mut sig, &private, stays_async, is_read);
            if !stays_async && !is_plain {
                sig.asyncness = None;
                sig.output = future_of(&sig.output, &private);
            }
            let body = function.braced(function.body.clone());
            let body = function.braced(quote!(#edge #bind #inside match () { () => #body }));
            // With the span of the body, errors call its variables by their names.
            let at = body.span();
            (pack, quote_spanned!(at=> async move #body))
        }
        Form::Boxed(Boxed {
            bind, this, rest, ..
        }) => {
            let inside = match this {
                Some(this) => rename_self(inside, this),
                None => inside,
            };
            let mut body = Group::new(
                Delimiter::Brace,
                quote!(#edge #bind #inside match () { () => #rest }),
            );
            let at = rest.span();
            body.set_span(at);
            (TokenStream::new(), quote_spanned!(at=> async move #body))
        }
        Form::BoxedSomehow => {
            let Arguments { bind, .. } =
                Arguments::take_out_of(&mut sig.clone(), &private, false, true);
            let (body, ty) = (function.braced(function.body.clone()), &function.sig.output);
            let body = quote!(async move {
                #edge #bind #inside
                match () { () => (move || #ty #body)().await }
            });
            (TokenStream::new(), body)
        }
    };

    // Located at the return type, because the bounds of the call apply to it.
    let at = Span::mixed_site().located_at(output.span);
    let spec = spec(args, &private, &sig.ident.to_string());
    let locked = if is_plain {
        quote!(#private::locked_blocking)
    } else {
        quote!(#private::locked)
    };
    let (locked, refuse) = (located_at(locked, output.span), &refusal.outside);
    let (future, output_name, ending) = (name("body"), name("output"), name("ending"));
    let call = quote_spanned!(at=> #locked(#spec, #ending, #refuse, #future));
    let call = match &function.form {
        Form::AsyncFn if stays_async => quote_spanned!(at=> #call.await),
        Form::AsyncFn | Form::Plain => call,
        Form::Boxed(Boxed { pin, .. }) => quote!(#pin(#call)),
        Form::BoxedSomehow => quote!(#private::Box::pin(#call)),
    };
    let prepare = &refusal.before;
    let choose_ending = choose_ending(args, is_plain, &output_name, &private);
    let body = function.braced(quote! {
        #prepare
        #pack
        let (#output_name, #future) = #private::Output::of(#body);
        let #ending = #choose_ending;
        #call
    });
    let compiled = quote!(#(#attrs)* #vis #sig #body);
    if matches!(function.form, Form::Boxed(_) | Form::BoxedSomehow) {
        return compiled;
    }
    quote! {
        #[cfg(not(any(clippy, doc)))]
        #compiled
        #[cfg(any(clippy, doc))]
        #as_read
    }
}

/// Returns the function for clippy and rustdoc, which do not compile it: as the author wrote it,
/// plus a use of everything that the attribute's options use.
fn as_read(
    args: &Args,
    inside: &TokenStream,
    refusal: &Refusal,
    krate: &Path,
    function: &Function,
) -> TokenStream {
    let private = quote!(#krate::__private);
    let Function {
        attrs,
        vis,
        sig,
        body,
        ..
    } = function;
    let before = &refusal.before;
    let refuse = match (&args.or_else, args.skips_when_busy()) {
        // Without the type, because a lifetime in it would count as needed.
        (None, false) => quote!(#private::refused),
        _ => refusal.outside.clone(),
    };
    let lease = args
        .bind
        .as_ref()
        .map(|name| quote!(let #name = #private::never::<&#krate::Lease>();));
    // In a block of its own, because the body's items must stand at the start of a block.
    let body = function.braced(body.clone());
    let body = function.braced(quote! {
        if false {
            #before
            #inside
            return (#refuse)(#private::never());
        }
        #lease
        #body
    });
    quote!(#(#attrs)* #vis #sig #body)
}

/// Returns the code that decides whether the call keeps its value until the lock is released.
fn choose_ending(
    args: &Args,
    is_plain: bool,
    output: &Ident,
    private: &TokenStream,
) -> TokenStream {
    match args.release {
        // A value that stays on its thread need not be `Send`.
        None if is_plain => quote!(#private::AwaitRelease),
        // If the value is not `Send`, the type checker chooses the background.
        None => quote! {{
            use #private::{AnyOutput as _, SendOutput as _};
            (&#output).ending()
        }},
        Some(Release::Await) => quote!(#private::AwaitRelease),
        Some(Release::Background) => quote!(#private::ReleaseInBackground),
    }
}

/// The statements that acquire the lock.
fn enter(
    args: &Args,
    bind: Option<&Ident>,
    is_async: bool,
    key: &Key,
    krate: &Path,
    params: &Params,
) -> TokenStream {
    let private = quote!(#krate::__private);
    let (key_name, pool_name) = (name("key"), name("pool"));
    let (pool, pool_statement) = match &args.pool {
        None => (quote!(#private::installed()), None),
        Some(Pool::Named(name)) => (quote!(#private::named(#name)), None),
        Some(Pool::Expr(place)) => {
            let at = Span::mixed_site().located_at(place.span());
            let given = located_at(quote!(#private::given), place.span());
            (
                quote!(#pool_name),
                // A statement of its own, so that the expression's borrows have ended at the await.
                Some(quote_spanned!(at=> let #pool_name = #given(&#place);)),
            )
        }
    };
    let key = key.to_tokens(krate, params);
    let enter = quote!(#private::enter(#pool, #key_name));
    let enter = if is_async {
        quote!(#enter.await)
    } else {
        quote!(::core::mem::drop(#enter))
    };
    let enter = match bind {
        None => quote!(#enter;),
        Some(bind) => {
            let lease = name("lease");
            quote!(let #lease = #enter; let #bind = &#lease;)
        }
    };
    // The key has a statement of its own too: `format_args!` must not live across the await.
    quote!(#pool_statement let #key_name = #key; #enter)
}

/// Returns `-> impl Future<Output = R>`, as the compiler makes it for an `async fn`: with all
/// lifetimes, because the token has the edition of this crate.
fn future_of(output: &ReturnType, private: &TokenStream) -> ReturnType {
    let (ty, span) = match output {
        ReturnType::Default => (quote!(()), Span::mixed_site()),
        ReturnType::Type(_, ty) => (quote!(#ty), ty.span()),
    };
    let at = Span::mixed_site().located_at(span);
    let future = quote_spanned!(at=> impl #private::Future<Output = #ty>);
    parse_quote!(-> #future)
}

/// Returns whether another attribute may look at the arguments.
fn reads_the_signature(attr: &Attribute) -> bool {
    const BUILT_IN: [&str; 10] = [
        "allow",
        "cfg",
        "cold",
        "deny",
        "deprecated",
        "doc",
        "expect",
        "forbid",
        "inline",
        "warn",
    ];
    !BUILT_IN.iter().any(|name| attr.path().is_ident(name))
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
    match args.release {
        None => {}
        Some(Release::Await) => spec.extend(quote!(.await_release())),
        Some(Release::Background) => spec.extend(quote!(.release_in_background())),
    }
    if let Some(replicas) = args.confirm_replicas {
        spec.extend(quote!(.confirm_replicas(#replicas)));
    }
    if let Some(fsync) = args.confirm_fsync {
        spec.extend(quote!(.confirm_fsync(#fsync)));
    }
    if args.has_checkable_times() {
        // `cargo check` evaluates an item already.
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
