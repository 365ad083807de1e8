//! A key template and its own values: `key("order:{id}", id = order.id())`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, LitStr, Path, Result, Token};

use crate::errors::Errors;
use crate::params::Params;
use crate::spans::located_at;
use crate::suggest;
use crate::template::{Placeholder, Positions, Template};
use crate::written::Written;

pub(crate) struct KeyTemplate {
    literal: LitStr,
    /// Whether the literal is in the source, so that rustc and editors can read inside it.
    is_verbatim: bool,
    template: Template,
    separators: String,
    values: Vec<Value>,
}

/// A value of the template; values without a name come first.
struct Value {
    name: Option<Ident>,
    expr: Expr,
}

/// The names that a template may use besides its own values.
#[derive(Clone, Copy)]
pub(crate) enum Names<'a> {
    Arguments(&'a Params),
    /// Any name in scope.
    Scope,
}

impl KeyTemplate {
    pub(crate) fn text(&self) -> String {
        self.literal.value()
    }

    /// Parses `"…", name = value, …`; with counted positions also `"…", value, …`.
    pub(crate) fn parse(input: ParseStream<'_>, positions: Positions) -> Result<Self> {
        let text: Expr = input.parse()?;
        let mut values: Vec<Value> = Vec::new();
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let has_name =
                input.peek(Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]);
            let name = if has_name {
                let name = input.parse()?;
                input.parse::<Token![=]>()?;
                Some(name)
            } else if positions == Positions::Refused {
                return Err(input.error(
                    "a value has a name here: write `name = value`, and `{name}` in the template",
                ));
            } else {
                None
            };
            let value = Value {
                name,
                expr: input.parse()?,
            };
            check_order(&values, &value)?;
            values.push(value);
        }
        if !input.is_empty() {
            return Err(input.error("expected `,` and the next `name = value`"));
        }
        match Written::of(&text) {
            Written::Literal(literal) => Self::new(literal, true, values, positions),
            Written::Joined(joined) => {
                Self::new(LitStr::new(&joined, text.span()), false, values, positions)
            }
            Written::Partly(_) | Written::Nothing => Err(Error::new_spanned(
                text,
                "a template is a string literal: the names in it are looked up when the program is compiled",
            )),
        }
    }

    /// Makes a template without values of its own.
    pub(crate) fn of_literal(literal: LitStr, is_verbatim: bool) -> Result<Self> {
        Self::new(literal, is_verbatim, Vec::new(), Positions::Refused)
    }

    fn new(
        literal: LitStr,
        is_verbatim: bool,
        values: Vec<Value>,
        positions: Positions,
    ) -> Result<Self> {
        let at_literal = |message| Error::new(literal.span(), message);
        let template = Template::parse(&literal.value(), positions).map_err(at_literal)?;
        let separators = template.separators().map_err(at_literal)?;
        let this = Self {
            literal,
            is_verbatim,
            template,
            separators,
            values,
        };
        this.check_values()?;
        Ok(this)
    }

    /// Checks that every value has a placeholder, and every position a value.
    fn check_values(&self) -> Result<()> {
        for (index, value) in self.values.iter().enumerate() {
            if self
                .roots()
                .any(|root| self.position_of(root) == Some(index))
            {
                continue;
            }
            return Err(match &value.name {
                Some(name) => Error::new(
                    name.span(),
                    format!("`{name}` is not in the template; write `{{{name}}}` there"),
                ),
                None => Error::new_spanned(
                    &value.expr,
                    "this value is not in the template; write `{}` there",
                ),
            });
        }
        match self
            .roots()
            .find(|root| is_position(root) && self.position_of(root).is_none())
        {
            Some(position) => Err(Error::new(
                self.literal.span(),
                format!(
                    "there is no value for the placeholder {position} (they are counted from 0); \
                     write it behind the template, `\"…\", value`"
                ),
            )),
            None => Ok(()),
        }
    }

    fn roots(&self) -> impl Iterator<Item = &str> {
        self.template
            .placeholders()
            .map(|placeholder| placeholder.root.as_str())
    }

    /// Returns the index of the template's own value for a placeholder.
    fn position_of(&self, root: &str) -> Option<usize> {
        if is_position(root) {
            let index: usize = root.parse().ok()?;
            let value = self.values.get(index)?;
            return value.name.is_none().then_some(index);
        }
        let is_it = |value: &Value| value.name.as_ref().is_some_and(|name| name.unraw() == root);
        self.values.iter().position(is_it)
    }

    /// Returns whether `format_args!` can capture every placeholder: then it gets the literal as
    /// the user wrote it, and rustc and editors read inside it.
    fn is_plain(&self) -> bool {
        self.is_verbatim
            && self
                .template
                .placeholders()
                .all(|placeholder| placeholder.is_plain() && !is_position(&placeholder.root))
    }

    /// Returns whether a name is a constant, which is part of the template's own text.
    fn is_constant(&self, root: &str, names: Names<'_>) -> bool {
        root != "self"
            && self.position_of(root).is_none()
            && match names {
                Names::Arguments(params) => !params.contains(root),
                // Only the spelling distinguishes a constant from a variable.
                Names::Scope => {
                    root.contains(char::is_uppercase) && !root.contains(char::is_lowercase)
                }
            }
    }

    /// Runs the checks that need the function's arguments.
    pub(crate) fn check(&self, params: &Params, errors: &mut Errors) {
        if self.is_plain() {
            return;
        }
        for root in self.roots() {
            if root == "self" {
                if params.receiver().is_none() {
                    errors.at(
                        self.literal.span(),
                        "`self` in the key, but this function has none; lock one of its arguments",
                    );
                }
            } else if self.is_constant(root, Names::Arguments(params))
                && root.starts_with(char::is_lowercase)
            {
                errors.at(self.literal.span(), unknown(root, params));
            }
        }
    }

    // Output, for ("order:{order_id}:{n}", n = next()):
    //     match (&(next()),) {
    //         (value_0,) => {
    //             let values = Values::new("");
    //             key(&values, format_args!(
    //                 "order:{order_id}:{n}", order_id = values.value(&order_id), n = values.value(value_0),
    //             ))
    //         }
    //     }
    pub(crate) fn to_tokens(&self, krate: &Path, names: Names<'_>) -> TokenStream {
        let separators = &self.separators;
        let private = quote!(#krate::__private);
        // Errors about a value point at the template, not at the whole attribute.
        let at = Span::mixed_site().located_at(self.literal.span());
        let values = Ident::new("__lockattr_values", at);
        let (text, arguments) = self.format_arguments(&values, names);
        let format_args = located_at(quote!(#private::format_args), self.literal.span());
        let formatted = quote_spanned!(at=> #format_args!(#text, #(#arguments),*));
        let link = self.link(&private, names);
        let rendered = quote! {{
            #link
            let #values = #private::Values::new(#separators);
            #private::key(&#values, #formatted)
        }};
        if self.values.is_empty() {
            return rendered;
        }
        // Each value is evaluated once and in order, before anything that is not `Send` exists.
        // Their borrows live as long as the match.
        let bound = (0..self.values.len()).map(|index| self.bound(index));
        let exprs = self.values.iter().map(|Value { expr, .. }| {
            let at = Span::mixed_site().located_at(expr.span());
            quote_spanned!(at=> &(#expr))
        });
        quote!(match (#(#exprs,)*) { (#(#bound,)*) => #rendered })
    }

    /// Returns the literal for `format_args!` and its arguments.
    fn format_arguments(&self, values: &Ident, names: Names<'_>) -> (LitStr, Vec<TokenStream>) {
        let at = Span::mixed_site().located_at(self.literal.span());
        let mut arguments = Vec::new();
        if self.is_plain() {
            let mut seen: Vec<&str> = Vec::new();
            for root in self.roots() {
                if !self.is_constant(root, names) && !seen.contains(&root) {
                    seen.push(root);
                    let ident = ident(root, self.literal.span());
                    let value = self.borrowed(root, &[], names);
                    arguments.push(quote_spanned!(at=> #ident = #values.value(#value)));
                }
            }
            return (self.literal.clone(), arguments);
        }
        // Not the literal's own span: a rebuilt literal does not have the positions inside it.
        let text = self.template.renamed(|Placeholder { root, path, .. }| {
            let name = format!("__lockattr_{}", arguments.len());
            let (ident, value) = (Ident::new(&name, at), self.borrowed(root, path, names));
            arguments.push(if self.is_constant(root, names) && path.is_empty() {
                quote_spanned!(at=> #ident = #value)
            } else {
                quote_spanned!(at=> #ident = #values.value(#value))
            });
            name
        });
        (LitStr::new(&text, at), arguments)
    }

    /// For editors only: links a name in the literal to its declaration. The compiler would report
    /// mistakes in a value twice.
    fn link(&self, private: &TokenStream, names: Names<'_>) -> Option<TokenStream> {
        let has_link = self.is_plain()
            && self.values.is_empty()
            && self.roots().any(|root| !self.is_constant(root, names));
        let (literal, at) = (&self.literal, Span::mixed_site());
        has_link.then(|| {
            quote_spanned! {at=>
                #[allow(unexpected_cfgs)]
                {
                    #[cfg(rust_analyzer)]
                    if false { _ = #private::format_args!(#literal); }
                }
            }
        })
    }

    /// Returns the name of one of the template's own values in the expansion.
    fn bound(&self, index: usize) -> Ident {
        let span = self.values[index].expr.span();
        let at = Span::mixed_site().located_at(span);
        Ident::new(&format!("__lockattr_value_{index}"), at)
    }

    /// Returns a reference to the value of `root.path`.
    fn borrowed(&self, root: &str, path: &[String], names: Names<'_>) -> TokenStream {
        let span = self.literal.span();
        // With the literal's own span, rustc would offer to replace the whole literal by a field's
        // name.
        let at = Span::mixed_site().located_at(span);
        let own = self.position_of(root).map(|index| self.bound(index));
        if let (Some(own), true) = (&own, path.is_empty()) {
            return quote!(#own);
        }
        let root = own.unwrap_or_else(|| match names {
            // Located here, but resolved at the declaration: the two may come from different
            // macros.
            Names::Arguments(params) => match params.span(root) {
                Some(declared) if root == "self" => Ident::new("self", declared),
                Some(declared) => ident(root, declared.located_at(span)),
                None => ident(root, span),
            },
            Names::Scope => ident(root, span),
        });
        let place = path.iter().fold(quote!(#root), |base, segment| {
            if let Ok(index) = segment.parse::<u32>() {
                let index = syn::Index { index, span };
                quote_spanned!(span=> #base.#index)
            } else {
                let field = ident(segment, at);
                quote_spanned!(at=> #base.#field)
            }
        });
        quote_spanned!(at=> &#place)
    }
}

fn check_order(before: &[Value], value: &Value) -> Result<()> {
    match &value.name {
        Some(name) if before.iter().any(|other| other.name.as_ref() == Some(name)) => {
            Err(Error::new(name.span(), format!("`{name}` is given twice")))
        }
        None if before.iter().any(|other| other.name.is_some()) => Err(Error::new_spanned(
            &value.expr,
            "values without a name stand before those with one",
        )),
        _ => Ok(()),
    }
}

/// Returns whether a placeholder's root is the number of a value.
fn is_position(root: &str) -> bool {
    root.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns the identifier for a name in a template, where keywords have no `r#`.
fn ident(name: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, span),
        Err(_) if name == "self" => Ident::new(name, span),
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
