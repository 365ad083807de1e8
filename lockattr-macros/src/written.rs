//! Texts that the macro can read: literals, also through macro fragments, and `concat!` of them.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprMacro, ExprUnary, Lit, LitStr, Token, UnOp};

/// What the macro can read of an expression before it is compiled.
pub(crate) enum Written {
    /// As the user wrote it.
    Literal(LitStr),
    /// Joined from literals only.
    Joined(String),
    /// Joined from more than literals; NUL replaces each part that cannot be read.
    Partly(String),
    Nothing,
}

impl Written {
    pub(crate) fn of(expr: &Expr) -> Self {
        match bare(expr) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(literal),
                ..
            }) => Self::Literal(literal.clone()),
            Expr::Macro(ExprMacro { mac, .. }) if is_std(&mac.path, "concat") => {
                let parts = Punctuated::<Expr, Token![,]>::parse_terminated;
                parts
                    .parse2(mac.tokens.clone())
                    .map_or(Self::Nothing, |parts| {
                        let text: String = parts.iter().map(part).collect();
                        if text.contains('\0') {
                            Self::Partly(text)
                        } else {
                            Self::Joined(text)
                        }
                    })
            }
            Expr::Macro(ExprMacro { mac, .. }) if is_std(&mac.path, "stringify") => {
                stringified(&mac.tokens).map_or(Self::Nothing, Self::Joined)
            }
            _ => Self::Nothing,
        }
    }
}

/// Returns the expression without wrappers that do not change its text.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        // A `macro_rules!` fragment is wrapped in an invisible group.
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) => bare(&paren.expr),
        Expr::Reference(reference) => bare(&reference.expr),
        expr => expr,
    }
}

/// Reads one argument of `concat!`.
fn part(expr: &Expr) -> String {
    let text = match bare(expr) {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Char(c) => Some(c.value().to_string()),
            Lit::Bool(value) => Some(value.value.to_string()),
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => Some(format!("-{}", part(expr))),
        expr => match Written::of(expr) {
            Written::Literal(literal) => Some(literal.value()),
            Written::Joined(text) | Written::Partly(text) => Some(text),
            Written::Nothing => None,
        },
    };
    text.unwrap_or_else(|| "\0".to_owned())
}

/// Reads a single token. How rustc prints several tokens is not specified.
fn stringified(tokens: &TokenStream) -> Option<String> {
    let mut tokens = unwrapped(tokens.clone()).into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(ident)), None) => Some(ident.to_string()),
        (Some(TokenTree::Literal(literal)), None) => Some(literal.to_string()),
        _ => None,
    }
}

/// Returns whether the path names a macro of the standard library.
pub(crate) fn is_std(path: &syn::Path, name: &str) -> bool {
    let segments: Vec<&Ident> = path.segments.iter().map(|segment| &segment.ident).collect();
    match segments[..] {
        [last] => last == name,
        [krate, last] => (krate == "std" || krate == "core") && last == name,
        _ => false,
    }
}

/// Removes the invisible groups around single tokens, in which macro fragments such as
/// `$text:literal` come.
pub(crate) fn unwrapped(tokens: TokenStream) -> TokenStream {
    tokens.into_iter().map(unwrap).collect()
}

fn unwrap(token: TokenTree) -> TokenTree {
    let TokenTree::Group(group) = token else {
        return token;
    };
    let inside = unwrapped(group.stream());
    if group.delimiter() == Delimiter::None {
        let mut tokens = inside.clone().into_iter();
        if let (Some(only), None) = (tokens.next(), tokens.next()) {
            return only;
        }
    } else if !has_invisible_group(group.stream()) {
        // Unchanged, with the spans of both delimiters.
        return group.into();
    }
    let mut rebuilt = Group::new(group.delimiter(), inside);
    rebuilt.set_span(group.span());
    rebuilt.into()
}

fn has_invisible_group(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::None || has_invisible_group(group.stream())
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens as _, quote};
    use syn::parse_quote;

    use super::*;

    fn read(expr: &Expr) -> Option<String> {
        match Written::of(expr) {
            Written::Literal(literal) => Some(literal.value()),
            Written::Joined(text) | Written::Partly(text) => Some(text),
            Written::Nothing => None,
        }
    }

    #[test]
    fn texts_are_read_through_what_wraps_them() {
        for (expr, text) in [
            (parse_quote!("a"), Some("a")),
            (parse_quote!((&"a")), Some("a")),
            (
                parse_quote!(concat!("a", 1u8, 'c', -2, true)),
                Some("a1c-2true"),
            ),
            (
                parse_quote!(::core::concat!(stringify!(job), concat!(":", "{id}"))),
                Some("job:{id}"),
            ),
            (
                parse_quote!(concat!(module_path!(), ":{id}")),
                Some("\0:{id}"),
            ),
            (parse_quote!(concat!(1.5, ":")), Some("\0:")),
            (parse_quote!(stringify!(a + b)), None),
            (parse_quote!(KEY), None),
            (parse_quote!(own::concat!("a")), None),
        ] {
            assert_eq!(read(&expr).as_deref(), text);
        }
    }

    #[test]
    fn invisible_groups_of_one_token_are_unwrapped() {
        let wrap = |tokens| Group::new(Delimiter::None, tokens);
        let twice = wrap(wrap(quote!("a")).to_token_stream());
        let sum = wrap(quote!(1 + 2));
        let tokens = unwrapped(quote!(key(#twice, n = #sum)));
        assert_eq!(tokens.to_string(), quote!(key("a", n = #sum)).to_string());
    }
}
