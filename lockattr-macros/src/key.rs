//! The `key` option: a template over the arguments, or any expression.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Path, Result, Token, parenthesized};

use crate::errors::Errors;
use crate::expand::located_at;
use crate::params::Params;
use crate::suggest;
use crate::template::{Placeholder, Template};

pub(crate) enum Key {
    Template(KeyTemplate),
    /// Anything else that is `Display`.
    Expr(Box<Expr>),
}

/// A template, and the values of its own: `key("order:{id}", id = order.id())`.
pub(crate) struct KeyTemplate {
    literal: LitStr,
    template: Template,
    separators: String,
    values: Vec<(Ident, Expr)>,
}

impl Key {
    /// What follows the word `key`: `= "…"`, `= expression`, or `("…", name = value, …)`.
    pub(crate) fn parse_after_name(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            return content
                .call(KeyTemplate::parse_with_values)
                .map(Self::Template);
        }
        input.parse::<Token![=]>()?;
        let mut expr: Expr = input.parse()?;
        // A literal that came through a `macro_rules!` fragment is wrapped in an invisible group.
        while let Expr::Group(group) = expr {
            expr = *group.expr;
        }
        match expr {
            Expr::Lit(ExprLit {
                lit: Lit::Str(literal),
                ..
            }) => KeyTemplate::new(literal, Vec::new()).map(Self::Template),
            expr => Ok(Self::Expr(Box::new(expr))),
        }
    }

    /// Checks what only the function can tell.
    pub(crate) fn check(&self, params: &Params, errors: &mut Errors) {
        if let Self::Template(template) = self {
            template.check(params, errors);
        }
    }

    /// An expression that is the key: `Result<Key, Error>`.
    pub(crate) fn to_tokens(&self, krate: &Path, params: &Params) -> TokenStream {
        match self {
            Self::Template(template) => template.to_tokens(krate, params),
            Self::Expr(expr) => {
                let at = Span::mixed_site().located_at(expr.span());
                let display = located_at(quote!(#krate::__private::display), expr.span());
                quote_spanned!(at=> #display(&#expr))
            }
        }
    }
}

impl KeyTemplate {
    fn parse_with_values(input: ParseStream<'_>) -> Result<Self> {
        let literal = input.parse()?;
        let mut values = Vec::new();
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let name = input.parse()?;
            input.parse::<Token![=]>()?;
            values.push((name, input.parse()?));
        }
        if !input.is_empty() {
            return Err(input.error("expected `,` and the next `name = value`"));
        }
        Self::new(literal, values)
    }

    fn new(literal: LitStr, values: Vec<(Ident, Expr)>) -> Result<Self> {
        let at_literal = |message| Error::new(literal.span(), message);
        let template = Template::parse(&literal.value()).map_err(at_literal)?;
        let separators = template.separators().map_err(at_literal)?;
        for (name, _) in &values {
            if !template
                .placeholders()
                .any(|placeholder| name == &placeholder.root)
            {
                return Err(Error::new(
                    name.span(),
                    format!("`{name}` is not in the template; write `{{{name}}}` there"),
                ));
            }
        }
        Ok(Self {
            literal,
            template,
            separators,
            values,
        })
    }

    fn value_of(&self, name: &str) -> Option<&Expr> {
        self.values
            .iter()
            .find(|(value, _)| value == name)
            .map(|(_, expr)| expr)
    }

    /// Whether every placeholder is one that `format_args!` captures: then the literal goes to it
    /// as the user wrote it, and rustc and editors see into it.
    fn is_plain(&self) -> bool {
        self.template.placeholders().all(Placeholder::is_plain)
    }

    fn check(&self, params: &Params, errors: &mut Errors) {
        if self.is_plain() {
            return;
        }
        for Placeholder { root, .. } in self.template.placeholders() {
            if root == "self" {
                if params.receiver().is_none() {
                    errors.at(
                        self.literal.span(),
                        "`self` in the key, but this function has none; lock one of its arguments",
                    );
                }
            } else if !params.contains(root)
                && self.value_of(root).is_none()
                && root.starts_with(char::is_lowercase)
            {
                errors.at(self.literal.span(), unknown(root, params));
            }
        }
    }

    // Output, for "order:{order_id}":
    //     {
    //         if false { _ = format_args!("order:{order_id}"); }
    //         let values = Values::new("");
    //         key(&values, format_args!("order:{order_id}", order_id = values.value(&order_id)))
    //     }
    fn to_tokens(&self, krate: &Path, params: &Params) -> TokenStream {
        let (literal, separators) = (&self.literal, &self.separators);
        let private = quote!(#krate::__private);
        let values = Ident::new("__lockattr_values", Span::mixed_site());
        // Errors about a value belong to the template; generated tokens offer no fix that would
        // replace all of it.
        let at = Span::mixed_site().located_at(literal.span());

        if self.is_plain() {
            let mut names: Vec<&str> = Vec::new();
            for Placeholder { root, .. } in self.template.placeholders() {
                let is_ours = params.contains(root) || self.value_of(root).is_some();
                if is_ours && !names.contains(&root.as_str()) {
                    names.push(root);
                }
            }
            let arguments = names.iter().map(|name| {
                let (ident, value) = (ident(name, literal.span()), self.expr(name, &[], params));
                quote_spanned!(at=> #ident = #values.value(&#value))
            });
            // Never taken: it keeps the editor's way from the name in the literal to the argument.
            // With values of its own the template would not be complete.
            let has_link = self.values.is_empty() && !names.is_empty();
            let link = has_link.then(|| quote!(if false { _ = #private::format_args!(#literal); }));
            return quote! {{
                #link
                let #values = #private::Values::new(#separators);
                #private::key(&#values, #private::format_args!(#literal, #(#arguments),*))
            }};
        }

        // The literal's own span would promise positions inside it that a rebuilt one does not have.
        let mut arguments = Vec::new();
        let text = self.template.renamed(|Placeholder { root, path, .. }| {
            let is_constant =
                root != "self" && !params.contains(root) && self.value_of(root).is_none();
            let name = format!("__lockattr_{}", arguments.len());
            let (ident, value) = (Ident::new(&name, at), self.expr(root, path, params));
            arguments.push(if is_constant && path.is_empty() {
                quote_spanned!(at=> #ident = #value)
            } else {
                quote_spanned!(at=> #ident = #values.value(&#value))
            });
            name
        });
        let text = LitStr::new(&text, at);
        quote! {{
            let #values = #private::Values::new(#separators);
            #private::key(&#values, #private::format_args!(#text, #(#arguments),*))
        }}
    }

    /// The value of `root.path`, to be borrowed.
    fn expr(&self, root: &str, path: &[String], params: &Params) -> TokenStream {
        let span = self.literal.span();
        // With the literal's own span, rustc would offer to replace all of it by a field's name.
        let at = Span::mixed_site().located_at(span);
        let root = match (self.value_of(root), params.receiver()) {
            (Some(value), _) => quote!((#value)),
            (None, Some(receiver)) if root == "self" => {
                let this = Ident::new("self", receiver);
                quote!(#this)
            }
            (None, _) => {
                let root = ident(root, span);
                quote!(#root)
            }
        };
        path.iter().fold(root, |base, segment| {
            if let Ok(index) = segment.parse::<u32>() {
                let index = syn::Index { index, span };
                quote_spanned!(span=> #base.#index)
            } else {
                let field = ident(segment, at);
                quote_spanned!(at=> #base.#field)
            }
        })
    }
}

/// A name as templates write it, keywords without `r#`.
fn ident(name: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, span),
        Err(_) => Ident::new_raw(name, span),
    }
}

fn unknown(root: &str, params: &Params) -> String {
    if let Some(near) = suggest::nearest(root, params.names()) {
        format!("`{root}` is no argument of this function; did you mean `{near}`?")
    } else {
        let names: Vec<String> = params.names().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        format!("`{root}` is no argument of this function; it has {names}")
    }
}
