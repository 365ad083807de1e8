//! Moves the arguments of an `async fn` into the body's future.
//!
//! The future binds them one after the other, as rustc does for the plain function, so that
//! destructors, lints and errors stay the same.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{FnArg, Pat, PatIdent, Receiver, ReceiverKind, Signature, Type, parse_quote};

/// The statements that move the arguments.
pub(crate) struct Arguments {
    /// Statements before the body's future is made. They box large arguments, because the future of
    /// an `async fn` would also keep space for the original arguments.
    pub(crate) pack: TokenStream,
    /// The first statements inside the body's future.
    pub(crate) bind: TokenStream,
}

impl Arguments {
    /// Gives every argument a plain name in the signature, and binds its pattern inside the body.
    ///
    /// A function that `stays_async` gets its arguments packed. When another attribute
    /// `is_reading` the signature, its patterns stay.
    pub(crate) fn take_out_of(
        sig: &mut Signature,
        private: &TokenStream,
        stays_async: bool,
        is_reading: bool,
    ) -> Self {
        let mut bind = TokenStream::new();
        let (mut names, mut places) = (Vec::new(), Vec::new());
        for (n, input) in sig.inputs.iter_mut().enumerate() {
            let typed = match input {
                FnArg::Receiver(receiver) => {
                    bind.extend(whole_receiver(receiver));
                    continue;
                }
                FnArg::Typed(typed) => typed,
            };
            if is_reading && !is_name(&typed.pat) && !matches!(*typed.pat, Pat::Wild(_)) {
                let mut bound = Vec::new();
                bound_names(&typed.pat, &mut bound);
                bind.extend(quote!(#(let #bound = #bound;)*));
                continue;
            }
            let attrs = &typed.attrs;
            let is_cfg = attrs.iter().any(|attr| attr.path().is_ident("cfg"));
            let name = outer_name(n, &typed.pat);
            let value = if !stays_async || is_cfg || is_small(&typed.ty) {
                name.clone()
            } else {
                let at = Span::mixed_site().located_at(name.span());
                let place = format_ident!("__lockattr_{n}", span = at);
                names.push(name.clone());
                places.push(place.clone());
                place
            };
            let pat = &typed.pat;
            bind.extend(match &**pat {
                pat if is_name(pat) => quote!(#(#attrs)* let #pat = #value;),
                Pat::Wild(_) => quote!(#(#attrs)* let #name = #value;),
                pat => quote!(#(#attrs)* let #name = #value; #(#attrs)* let #pat = #name;),
            });
            *typed.pat = parse_quote!(#name);
        }
        let mut pack = TokenStream::new();
        if !names.is_empty() {
            let packed = Ident::new("__lockattr_arguments", Span::mixed_site());
            pack = quote!(let #packed = #private::Box::new((#(#names,)*)););
            bind = quote!(let (#(#places,)*) = *#packed; #bind);
        }
        Self { pack, bind }
    }
}

/// Moves all of `self` into the body, also the fields that the body does not name.
fn whole_receiver(receiver: &Receiver) -> TokenStream {
    if matches!(receiver.kind, ReceiverKind::Reference(..)) {
        return TokenStream::new();
    }
    let this = Ident::new("self", receiver.self_token.span);
    quote!(_ = &#this;)
}

/// `x` or `mut x`
fn is_name(pat: &Pat) -> bool {
    matches!(
        pat,
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            ..
        })
    )
}

/// Returns the argument's name in the signature. If its pattern binds exactly one name, the
/// signature shows that name in the documentation; the body cannot see it.
fn outer_name(n: usize, pat: &Pat) -> Ident {
    if let (true, Pat::Ident(pat)) = (is_name(pat), pat) {
        return pat.ident.clone();
    }
    let at = Span::mixed_site().located_at(pat.span());
    let mut bound = Vec::new();
    bound_names(pat, &mut bound);
    match &*bound {
        [name] => {
            let mut name = name.clone();
            name.set_span(at);
            name
        }
        _ => format_ident!("__arg{n}", span = at),
    }
}

fn bound_names(pat: &Pat, names: &mut Vec<Ident>) {
    match pat {
        Pat::Ident(ident) => {
            names.push(ident.ident.clone());
            if let Some((_, inner)) = &ident.subpat {
                bound_names(inner, names);
            }
        }
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::Struct(fields) => fields
            .fields
            .iter()
            .for_each(|field| bound_names(&field.pat, names)),
        Pat::Slice(slice) => slice.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::Reference(reference) => bound_names(&reference.pat, names),
        Pat::Paren(paren) => bound_names(&paren.pat, names),
        Pat::Type(typed) => bound_names(&typed.pat, names),
        // Every alternative binds the same names.
        Pat::Or(or) => or
            .cases
            .first()
            .into_iter()
            .for_each(|pat| bound_names(pat, names)),
        _ => {}
    }
}

/// Returns whether the type's name shows that a value is about as small as a pointer to it.
fn is_small(ty: &Type) -> bool {
    const NUMBERS: [&str; 16] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize",
    ];
    match ty {
        Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_) | Type::Never(_) => true,
        Type::Path(path) => NUMBERS.iter().any(|number| path.path.is_ident(number)),
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Paren(paren) => is_small(&paren.elem),
        Type::Group(group) => is_small(&group.elem),
        _ => false,
    }
}
