//! Turns an error into the function's value.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{Path, Type};

use crate::args::Args;
use crate::boxed::rename_self;
use crate::function::Function;
use crate::spans::{located_at, name};

/// The code for that, by its place in the expansion.
pub(crate) struct Refusal {
    /// Statements before the body's future is made.
    pub(crate) before: TokenStream,
    /// Statements inside the body's future.
    pub(crate) inside: TokenStream,
    /// An expression beside the future that is an `FnOnce(Error) -> R`.
    pub(crate) outside: TokenStream,
}

impl Refusal {
    pub(crate) fn of(args: &Args, krate: &Path, function: &Function) -> Self {
        let private = quote!(#krate::__private);
        let refuse = refuse(args, &private, function);
        let Some(handler) = &args.or_else else {
            return Self::outside(refuse);
        };
        let handler = quote!(#handler);
        let names: Vec<Ident> = function
            .params
            .idents()
            .filter(|name| names(&handler, &name.to_string()))
            .collect();
        let receiver = function.params.receiver();
        let uses_self = receiver.is_some() && names_self(&handler);
        if names.is_empty() && !uses_self {
            return Self::outside(refuse);
        }

        // When the lease is lost, the arguments are dropped with the body. So the handler is made
        // where they are bound, with clones of the arguments that it names.
        let (slot, outer_slot, error) = (name("handler"), name("refuse"), name("error"));
        let this = name("self");
        let at = Span::mixed_site().located_at(handler_span(&handler));
        let kept = located_at(quote!(#private::kept), handler_span(&handler));
        let keep = names.iter().map(|name| {
            let mut name = name.clone();
            name.set_span(name.span().located_at(handler_span(&handler)));
            quote_spanned!(at=> let #name = #kept(&#name);)
        });
        let keep_self = receiver.filter(|_| uses_self).map(|receiver| {
            let receiver = Ident::new("self", receiver);
            quote_spanned!(at=> let #this = #kept(&#receiver);)
        });
        let refuse = if uses_self {
            rename_self(refuse, &this)
        } else {
            refuse
        };
        Self {
            before: quote! {
                let #slot = #private::Handler::new();
                let #outer_slot = ::core::clone::Clone::clone(&#slot);
            },
            inside: quote! {
                #slot.set({
                    #keep_self
                    #(#keep)*
                    move |#error: #krate::Error| (#refuse)(#error)
                });
            },
            outside: quote!(move |#error| #outer_slot.call(#error)),
        }
    }

    fn outside(refuse: TokenStream) -> Self {
        Self {
            before: TokenStream::new(),
            inside: TokenStream::new(),
            outside: refuse,
        }
    }
}

/// Returns an expression that is an `FnOnce(Error) -> R`.
fn refuse(args: &Args, private: &TokenStream, function: &Function) -> TokenStream {
    let (ty, span) = (&function.output.ty, function.output.span);
    let named = match ty {
        // `!` cannot be named in expressions.
        Type::Never(_) => quote!(_),
        ty => quote!(#ty),
    };
    let handler = args
        .or_else
        .as_ref()
        .map(|handler| quote!(#private::handler::<#named, _>(#handler)));
    let error = name("error");
    if !args.skips_when_busy() {
        // In a closure, so that a type that cannot carry the error is reported once.
        let refused = located_at(quote!(#private::refused::<#named>), span);
        return handler.unwrap_or_else(|| quote!(|#error| #refused(#error)));
    }
    let refused = match handler {
        None => quote!(refused(#error)),
        Some(handler) => quote!(refused_or(#error, #handler)),
    };
    let at = Span::mixed_site().located_at(span);
    let rules = quote_spanned!(at=> (&#private::Skip::<#ty>::NEW).by_type().#refused);
    quote!(|#error| {
        use #private::{Fallible as _, Infallible as _};
        #rules
    })
}

fn handler_span(handler: &TokenStream) -> Span {
    let first = handler.clone().into_iter().next();
    first.map_or_else(Span::call_site, |token| token.span())
}

fn names_self(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "self",
        TokenTree::Group(group) => names_self(&group.stream()),
        _ => false,
    })
}

/// Returns whether the tokens name a variable, also inside a format string.
fn names(tokens: &TokenStream, name: &str) -> bool {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let punct = |n: Option<usize>, wanted: char| {
        n.and_then(|n| tokens.get(n))
            .is_some_and(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == wanted))
    };
    tokens.iter().enumerate().any(|(n, token)| match token {
        TokenTree::Ident(ident) => {
            let is_member = punct(n.checked_sub(1), '.') && !punct(n.checked_sub(2), '.');
            let is_path = punct(n.checked_sub(1), ':') && punct(n.checked_sub(2), ':');
            let is_field = punct(Some(n + 1), ':');
            ident == name && !is_member && !is_path && !is_field
        }
        TokenTree::Group(group) => names(&group.stream(), name),
        TokenTree::Literal(literal) => {
            let (text, name) = (literal.to_string(), name.trim_start_matches("r#"));
            ["}", ":"]
                .iter()
                .any(|end| text.contains(&format!("{{{name}{end}")))
        }
        TokenTree::Punct(_) => false,
    })
}
