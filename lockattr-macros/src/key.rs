//! The `key` option: a template over the arguments, or any expression.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, LitStr, Path, Result, Token, parenthesized};

use crate::errors::Errors;
use crate::key_template::{KeyTemplate, Names};
use crate::params::Params;
use crate::spans::located_at;
use crate::template::{Positions, has_placeholder};
use crate::written::{Written, bare, is_std};

pub(crate) struct Key {
    form: Form,
    /// The text as the user wrote it, to compare two keys.
    text: String,
}

enum Form {
    Template(KeyTemplate),
    /// Any other `Display` value.
    Expr(Box<Expr>),
}

impl Key {
    /// Parses what follows the word `key`: `= "…"`, `= expression`, or `("…", name = value, …)`.
    pub(crate) fn parse_after_name(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            let text = content.to_string();
            let template = KeyTemplate::parse(&content, Positions::Refused)?;
            return Ok(Self {
                form: Form::Template(template),
                text,
            });
        }
        input.parse::<Token![=]>()?;
        Self::of(input.parse()?)
    }

    /// A template, or an expression for the whole key.
    pub(crate) fn of(expr: Expr) -> Result<Self> {
        let text = bare(&expr).to_token_stream().to_string();
        let form = match Written::of(&expr) {
            Written::Literal(literal) => Form::Template(KeyTemplate::of_literal(literal, true)?),
            // Without a placeholder, braces are plain text.
            Written::Joined(joined) if has_placeholder(&joined) => {
                let literal = LitStr::new(&joined, expr.span());
                Form::Template(KeyTemplate::of_literal(literal, false)?)
            }
            Written::Partly(joined) if has_placeholder(&joined) => {
                return Err(Error::new_spanned(
                    expr,
                    "the macro cannot read all of this, so nothing would fill in its placeholders; write one \
                     literal and give the rest as a value, `key(\"{part}:{id}\", part = module_path!())`",
                ));
            }
            _ => Form::Expr(Box::new(expr)),
        };
        Ok(Self { form, text })
    }

    /// Runs the checks that need the function's arguments.
    pub(crate) fn check(&self, params: &Params, errors: &mut Errors) {
        if let Form::Template(template) = &self.form {
            template.check(params, errors);
        }
    }

    /// Returns the template, if it is one.
    pub(crate) fn template(&self) -> Option<String> {
        match &self.form {
            Form::Template(template) => Some(template.text()),
            Form::Expr(_) => None,
        }
    }

    /// Returns whether both keys of one function are the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Returns an expression of type `Result<Key, Error>`.
    pub(crate) fn to_tokens(&self, krate: &Path, params: &Params) -> TokenStream {
        match &self.form {
            Form::Template(template) => template.to_tokens(krate, Names::Arguments(params)),
            Form::Expr(expr) => {
                let at = Span::mixed_site().located_at(expr.span());
                let expression = located_at(quote!(#krate::__private::expression), expr.span());
                let receiver = params.receiver().map(|_| "self");
                let names = params.names().chain(receiver);
                let is_constant = is_constant(expr, params);
                quote_spanned!(at=> #expression(&(#expr), &[#(#names),*], #is_constant))
            }
        }
    }
}

/// Returns whether the expression names something outside of the function, such as a constant.
fn is_constant(expr: &Expr, params: &Params) -> bool {
    match bare(expr) {
        Expr::Path(path) => path.path.get_ident().is_none_or(|name| {
            let name = syn::ext::IdentExt::unraw(name).to_string();
            name != "self" && !params.contains(&name)
        }),
        Expr::Field(field) => is_constant(&field.base, params),
        Expr::Macro(call) => ["concat", "stringify", "env", "include_str"]
            .iter()
            .any(|name| is_std(&call.mac.path, name)),
        Expr::MethodCall(call) => call.args.is_empty() && is_constant(&call.receiver, params),
        _ => false,
    }
}
