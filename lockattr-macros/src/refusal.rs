//! Turns an error into the function's value.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, Type};

use crate::args::OnLost;
use crate::boxed::rename_self;
use crate::function::Function;
use crate::lock::Lock;
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
    pub(crate) fn of(lock: &Lock, function: &Function) -> Self {
        let (krate, private) = (lock.krate(), lock.private());
        let refuse = refuse(lock, &private, function);
        let handlers: Vec<TokenStream> = [lock.args.busy_handler(), lock.args.or_else.as_ref()]
            .into_iter()
            .flatten()
            .map(|handler| quote!(#handler))
            .collect();
        let handler_with = |names: &dyn Fn(&TokenStream) -> bool| {
            let handler = handlers.iter().find(|handler| names(handler))?;
            Some(handler_span(handler))
        };
        let names: Vec<(Ident, Span)> = function
            .params
            .idents()
            .filter_map(|name| {
                let text = name.to_string();
                let span = handler_with(&|handler| names(handler, &text))?;
                Some((name, span))
            })
            .collect();
        let this_used = function.params.receiver().zip(handler_with(&names_self));
        if names.is_empty() && this_used.is_none() {
            return Self::outside(refuse);
        }

        // When the lease is lost, the arguments are dropped with the body. So the handler is made
        // where they are bound, with clones of the arguments that it names.
        let (slot, outer_slot) = (lock.name("handler"), lock.name("refuse"));
        let (this, error) = (name("self"), name("error"));
        let keep = |place: &Ident, value: &Ident, span: Span| {
            let at = Span::mixed_site().located_at(span);
            let kept = located_at(quote!(#private::kept), span);
            quote_spanned!(at=> let #place = #kept(&#value);)
        };
        let keep_names = names.iter().map(|(name, span)| {
            let mut name = name.clone();
            name.set_span(name.span().located_at(*span));
            keep(&name, &name, *span)
        });
        let keep_self =
            this_used.map(|(receiver, span)| keep(&this, &Ident::new("self", receiver), span));
        let refuse = if this_used.is_some() {
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
                    #(#keep_names)*
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
fn refuse(lock: &Lock, private: &TokenStream, function: &Function) -> TokenStream {
    let args = &lock.args;
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
        let other = handler.unwrap_or_else(|| quote!(|#error| #refused(#error)));
        return match args.busy_handler() {
            None => other,
            Some(handler) => by_kind(handler, &named, &other, private),
        };
    }
    let refused = match &handler {
        None => quote!(refused(#error)),
        Some(handler) => quote!(refused_or(#error, #handler)),
    };
    let at = Span::mixed_site().located_at(span);
    let rules = quote_spanned!(at=> (&#private::Skip::<#ty>::NEW).by_type().#refused);
    // A lost lease is not dropped silently: the author asked for an error.
    let lost = (handler.is_none() && args.on_lost == Some(OnLost::Error)).then(|| {
        let refused = located_at(quote!(#private::refused::<#named>), span);
        quote!(if #error.is_lost() { return #refused(#error); })
    });
    let krate = lock.krate();
    quote!(|#error: #krate::Error| {
        use #private::{Fallible as _, Infallible as _};
        #lost
        #rules
    })
}

/// Returns the code that gives a busy lock to its own handler. In two branches, because both
/// handlers may take the same argument.
fn by_kind(
    handler: &Expr,
    named: &TokenStream,
    other: &TokenStream,
    private: &TokenStream,
) -> TokenStream {
    let (error, busy) = (name("error"), name("busy"));
    let on_busy = located_at(quote!(#private::on_busy::<#named, _>), handler.span());
    quote!(|#error| match #private::busy(#error) {
        ::core::result::Result::Ok(#busy) => #on_busy(#handler, #busy),
        ::core::result::Result::Err(#error) => (#other)(#error),
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
