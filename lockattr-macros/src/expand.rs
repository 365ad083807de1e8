//! Turns the attribute and its function into the function that is compiled.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, ReturnType, Type, parse_quote};

use crate::args::Args;
use crate::arguments::Arguments;
use crate::boxed::{Boxed, rename_self};
use crate::errors::Errors;
use crate::function::{Form, Function};
use crate::lock::Lock;
use crate::plain;
use crate::refusal::Refusal;
use crate::spans::{located_at, name};
use crate::spec::spec;
use crate::written::unwrapped;

pub(crate) fn distributed_lock(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = errors.keep(syn::parse2::<Args>(unwrapped(args)));
    let mut function = errors.keep(syn::parse2::<Function>(item.clone()));
    let locks = Lock::all(args, function.as_mut(), &mut errors);
    if let Some(function) = &function {
        for (n, lock) in locks.iter().enumerate() {
            lock.check(&function.params, &mut errors);
            lock.check_below(&locks[..n], &mut errors);
            if matches!(function.form, Form::Plain) {
                plain::check_on_lost(&lock.args, &mut errors);
            }
        }
    }
    match (errors.into_tokens(), function) {
        // Emit the function unchanged next to its errors: callers and the editor still find it, and
        // one mistake does not become ten.
        (Some(errors), Some(function)) => {
            let function = function.written();
            quote!(#function #errors)
        }
        (Some(errors), None) => quote!(#item #errors),
        (None, Some(function)) if !locks.is_empty() => expand(&locks, &function),
        (None, _) => unreachable!("what is missing is an error"),
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
//             const { &::lockattr::__private::Spec::new(concat!(module_path!(), "::charge"), "order:{order_id}").ttl(...) },
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
//
// Two attributes share the body, which has the arguments: `locked(…, locked(…, body))`, where the
// body calls `enter_all` for the outer call and then `enter` for the inner one.
fn expand(locks: &[Lock], function: &Function) -> TokenStream {
    let private = locks[0].private();
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
    let is_plain = matches!(function.form, Form::Plain);
    let stays_async = !is_plain && (is_read || matches!(output.ty, Type::Never(_)));
    let refusals: Vec<Refusal> = locks
        .iter()
        .map(|lock| Refusal::of(lock, function))
        .collect();
    let edge = output.edge(&located_at(quote!(#private::never), output.span));
    let set_handlers = refusals.iter().map(|refusal| &refusal.inside);
    let set_handlers = quote!(#(#set_handlers)*);
    let inside = |binds: bool| {
        let enter = locks.iter().map(|lock| {
            let bind = lock.args.bind.as_ref().filter(|_| binds);
            lock.enter(bind, binds || !is_plain, &function.params)
        });
        quote!(#set_handlers #(#enter)*)
    };
    let as_read = as_read(locks, &inside(false), &refusals, function);
    let inside = inside(true);

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

    let prepare = refusals.iter().map(|refusal| &refusal.before);
    let (future, output_name) = (name("body"), name("output"));
    let endings = locks.iter().map(|lock| {
        let (ending, choose_ending) = (lock.name("ending"), lock.ending(&output_name));
        quote!(let #ending = #choose_ending;)
    });
    let call = call(locks, &refusals, &future, function);
    let call = match &function.form {
        Form::AsyncFn if stays_async => {
            let at = Span::mixed_site().located_at(output.span);
            quote_spanned!(at=> #call.await)
        }
        Form::AsyncFn | Form::Plain => call,
        Form::Boxed(Boxed { pin, .. }) => quote!(#pin(#call)),
        Form::BoxedSomehow => quote!(#private::Box::pin(#call)),
    };
    let body = function.braced(quote! {
        #(#prepare)*
        #pack
        let (#output_name, #future) = #private::Output::of(#body);
        #(#endings)*
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

/// Returns the calls of `locked`, each around that of the next lock, the innermost around the body.
fn call(locks: &[Lock], refusals: &[Refusal], body: &Ident, function: &Function) -> TokenStream {
    let span = function.output.span;
    // Located at the return type, because the bounds of the call apply to it.
    let at = Span::mixed_site().located_at(span);
    let inside_out = locks.iter().zip(refusals).rev();
    inside_out.fold(quote!(#body), |inside, (lock, refusal)| {
        let private = lock.private();
        // The outermost call waits for all of them.
        let blocks = lock.is_plain && lock.is_outermost(locks);
        let name = function.sig.ident.to_string();
        let spec = spec(lock, &private, &name);
        let locked = if blocks {
            quote!(#private::locked_blocking)
        } else {
            quote!(#private::locked)
        };
        let refuse = &refusal.outside;
        let locked = located_at(locked, span);
        let ending = lock.name("ending");
        quote_spanned!(at=> #locked(#spec, #ending, #refuse, #inside))
    })
}

/// Returns the function for clippy and rustdoc, which do not compile it: as the author wrote it,
/// plus a use of everything that the attribute's options use.
fn as_read(
    locks: &[Lock],
    inside: &TokenStream,
    refusals: &[Refusal],
    function: &Function,
) -> TokenStream {
    let Function {
        attrs,
        vis,
        sig,
        body,
        ..
    } = function;
    let before = refusals.iter().map(|refusal| &refusal.before);
    let refuse = locks.iter().zip(refusals).map(|(lock, refusal)| {
        let (args, private) = (&lock.args, lock.private());
        let refuse = match (&args.or_else, args.skips_when_busy(), args.busy_handler()) {
            // Without the type, because a lifetime in it would count as needed.
            (None, false, None) => quote!(#private::refused),
            _ => refusal.outside.clone(),
        };
        quote!(return (#refuse)(#private::never());)
    });
    let refuse = in_branches(refuse.collect());
    let leases = locks.iter().filter_map(|lock| {
        let (name, private, ty) = (lock.args.bind.as_ref()?, lock.private(), lock.bound_type());
        Some(quote!(let #name = #private::never::<#ty>();))
    });
    // In a block of its own, because the body's items must stand at the start of a block.
    let body = function.braced(body.clone());
    let body = function.braced(quote! {
        if false {
            #(#before)*
            #inside
            #refuse
        }
        #(#leases)*
        #body
    });
    quote!(#(#attrs)* #vis #sig #body)
}

/// Puts all but the last into branches of their own, so that all can be reached.
fn in_branches(mut statements: Vec<TokenStream>) -> TokenStream {
    let last = statements.pop();
    quote!(#(if false { #statements })* #last)
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
