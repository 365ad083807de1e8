//! The function under the attribute.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{AttrStyle, Attribute, Error, Result, Signature, Token, Visibility, braced};

use crate::boxed::Boxed;
use crate::output::Output;
use crate::params::Params;
use crate::plain;

const NOT_A_FUNCTION: &str = "`#[distributed_lock]` goes on an `async fn`";
const NO_BODY: &str =
    "a method without a body has nothing to lock; put the attribute on the implementation";
const CONST: &str = "a `const fn` cannot wait for a lock; make it an `async fn`";

/// A function whose body stays a token stream.
///
/// The body is not parsed: that would only cost time, and would fail on the half-typed code that an
/// editor sends.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
    pub(crate) output: Output,
    /// The names that the key may use.
    pub(crate) params: Params,
    pub(crate) form: Form,
    braces: Span,
}

/// How the function makes its future.
pub(crate) enum Form {
    AsyncFn,
    /// The function has no future: it blocks its thread.
    Plain,
    /// The function only returns a boxed future, as `#[async_trait]` leaves it behind.
    Boxed(Boxed),
    /// The function returns a boxed future, by code of any form.
    BoxedSomehow,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let start = input.span();
        let instead = instead_of_a_function(input);
        let sig: Signature = input
            .parse()
            .map_err(|_| Error::new(start, format!("{NOT_A_FUNCTION}{instead}")))?;
        if input.peek(Token![;]) {
            return Err(Error::new(sig.ident.span(), NO_BODY));
        }
        if let Some(constness) = sig.constness {
            return Err(Error::new(constness.span, CONST));
        }
        let (output, is_boxed) = match (sig.asyncness, Output::awaited(&sig)) {
            (Some(_), _) => (Output::declared(&sig), false),
            (None, Some(awaited)) => (awaited, true),
            (None, None) => {
                plain::check_signature(&sig)?;
                (Output::declared(&sig), false)
            }
        };
        let content;
        let braces = braced!(content in input).span.join();
        // `#![allow(..)]` inside the braces means the same outside.
        for mut attr in Attribute::parse_inner(&content)? {
            attr.style = AttrStyle::Outer;
            attrs.push(attr);
        }
        let body: TokenStream = content.parse()?;
        let form = match (is_boxed, Boxed::take_apart(&body)) {
            (false, _) if sig.asyncness.is_none() => {
                plain::check_body(&body)?;
                Form::Plain
            }
            (false, _) => Form::AsyncFn,
            (true, Some(boxed)) => Form::Boxed(boxed),
            (true, None) => Form::BoxedSomehow,
        };
        let mut params = Params::of(&sig);
        if let Form::Boxed(boxed) = &form {
            boxed.patterns.iter().for_each(|pat| params.bind(pat));
        }
        Ok(Self {
            attrs,
            vis,
            sig,
            body,
            output,
            params,
            form,
            braces,
        })
    }
}

/// Returns advice for an attribute on something other than a function.
fn instead_of_a_function(input: ParseStream<'_>) -> &'static str {
    let starts = |word: &str| {
        let cursor = input.cursor();
        let skipped = ["unsafe", "pub"].iter().find_map(|prefix| {
            let (ident, rest) = cursor.ident()?;
            (ident == prefix).then_some(rest)
        });
        let found = skipped.unwrap_or(cursor).ident();
        found.is_some_and(|(ident, _)| ident == word)
    };
    if starts("impl") {
        ", not on an `impl` block: put it on its methods"
    } else if starts("trait") {
        ", not on a trait: put it on the methods that have a body, there or in the `impl`"
    } else if starts("mod") {
        ", not on a module: put it on the functions in it"
    } else if starts("struct") || starts("enum") || starts("union") {
        ", not on a type: put it on the methods in its `impl` block"
    } else if input.peek(Token![|]) || starts("move") || starts("let") || starts("async") {
        "; for a closure or a block: `pool.lock(lockattr::key!(\"…\")).run(|lease| async { … })`"
    } else {
        ""
    }
}

impl Function {
    /// Takes attributes off.
    pub(crate) fn take_attrs(&mut self, wanted: impl Fn(&Attribute) -> bool) -> Vec<Attribute> {
        let (taken, left) = std::mem::take(&mut self.attrs)
            .into_iter()
            .partition(wanted);
        self.attrs = left;
        taken
    }

    /// Returns the function as the author wrote it, with the attributes that are left.
    pub(crate) fn written(&self) -> TokenStream {
        let Self {
            attrs, vis, sig, ..
        } = self;
        let body = self.braced(self.body.clone());
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// Wraps tokens in braces with the span of the user's braces.
    ///
    /// Lints on the function and errors about its value look at the position of its braces. With
    /// generated braces the lints would be silent and the errors would point at the attribute.
    pub(crate) fn braced(&self, tokens: TokenStream) -> Group {
        let mut group = Group::new(Delimiter::Brace, tokens);
        group.set_span(self.braces);
        group
    }
}
