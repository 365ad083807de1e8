//! A time or a number in the attribute: a literal, or a constant expression.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprLit, ExprPath, ExprUnary, Lit, LitStr, Result, UnOp};

use crate::params::Params;
use crate::written::bare;

/// A value that the macro has read, or that the compiler will evaluate.
pub(crate) enum Constant<T> {
    Literal(T, Span),
    Const(Box<Expr>),
}

impl<T> Constant<T> {
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Literal(..) => None,
            Self::Const(expr) => Some(expr),
        }
    }
}

/// Returns whether an expression certainly names no generic parameter of the function or its
/// `impl`.
pub(crate) fn is_closed(expr: &Expr) -> bool {
    let closed_path = |expr: &Expr| match expr {
        Expr::Path(ExprPath {
            qself: None, path, ..
        }) => {
            path.segments.first().is_some_and(|first| {
                let first = first.ident.to_string();
                first == "Duration" || first.starts_with(char::is_lowercase)
            }) && path
                .segments
                .iter()
                .all(|segment| segment.arguments.is_none())
        }
        _ => false,
    };
    match bare(expr) {
        Expr::Lit(_) => true,
        Expr::Call(call) => closed_path(&call.func) && call.args.iter().all(is_number),
        Expr::MethodCall(call) => is_closed(&call.receiver) && call.args.iter().all(is_number),
        // A const parameter cannot be a `Duration`.
        Expr::Path(path) if path.path.get_ident().is_some() => true,
        other => closed_path(other),
    }
}

fn is_number(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Lit(_) => true,
        Expr::Binary(binary) => is_number(&binary.left) && is_number(&binary.right),
        _ => false,
    }
}

/// Returns the first function argument that an expression uses as a value.
pub(crate) fn argument_in(tokens: TokenStream, params: &Params) -> Option<Ident> {
    let mut tokens = tokens.into_iter().peekable();
    let mut before = None;
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                if let Some(argument) = argument_in(group.stream(), params) {
                    return Some(argument);
                }
            }
            TokenTree::Ident(ident) if params.span(&ident.unraw().to_string()).is_some() => {
                let is_part = |token: Option<&TokenTree>, signs: &[char]| matches!(token, Some(TokenTree::Punct(punct)) if signs.contains(&punct.as_char()));
                // Not a field, a method, a part of a path, or a macro.
                if !is_part(before.as_ref(), &['.', ':']) && !is_part(tokens.peek(), &[':', '!']) {
                    return Some(ident.clone());
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    None
}

/// Returns the same for an expression that is a number. A name may be a const parameter.
pub(crate) fn is_closed_number(expr: &Expr) -> bool {
    let is_name = matches!(bare(expr), Expr::Path(path) if path.path.get_ident().is_some());
    is_number(expr) || (!is_name && is_closed(expr))
}

/// Reads a number of permits; any other expression is left to the compiler, as a constant.
pub(crate) fn count(input: ParseStream<'_>, name: &str) -> Result<Constant<u32>> {
    let expr: Expr = input.parse()?;
    let literal = match bare(&expr) {
        Expr::Lit(ExprLit { lit, .. }) => lit,
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(minus),
            ..
        }) => {
            return Err(Error::new(minus.span, format!("`{name}` is not negative")));
        }
        _ => return Ok(Constant::Const(Box::new(expr))),
    };
    let number = match literal {
        Lit::Int(number) => number.base10_parse().ok(),
        _ => None,
    };
    let problem = match (number, literal) {
        (Some(0), _) if name == "weight" => {
            "a `weight` of zero takes no permit; write at least `1`".to_owned()
        }
        (Some(0), _) => format!("`{name}` is zero: the call could never run; write at least `1`"),
        (Some(number), _) => return Ok(Constant::Literal(number, literal.span())),
        (None, Lit::Str(text)) if text.value().parse::<u32>().is_ok() => {
            format!("a number has no quotes: `{name} = {}`", text.value())
        }
        (None, _) => format!(
            "expected a number, such as `{name} = 2`, and {} at most",
            u32::MAX
        ),
    };
    Err(Error::new(literal.span(), problem))
}

/// Reads a literal here; any other expression is left to the compiler, as a constant.
pub(crate) fn timing<T>(
    input: ParseStream<'_>,
    read: impl Fn(&LitStr) -> Result<T>,
) -> Result<Constant<T>> {
    let expr: Expr = input.parse()?;
    match bare(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => Ok(Constant::Literal(read(literal)?, literal.span())),
        Expr::Lit(ExprLit { lit, .. }) => {
            let text = lit.to_token_stream().to_string();
            let quoted = |text: &str| read(&LitStr::new(text, lit.span())).is_ok();
            let advice = if quoted(&text) {
                format!("a duration is written in quotes: \"{text}\"")
            } else if quoted(&format!("{text}s")) {
                format!("a duration needs a unit: write \"{text}s\" or \"{text}ms\"")
            } else {
                "expected a duration such as \"500ms\", \"10s\" or \"1m30s\"".to_owned()
            };
            Err(Error::new(lit.span(), advice))
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(minus),
            ..
        }) => Err(Error::new(minus.span, "a duration is not negative")),
        _ => Ok(Constant::Const(Box::new(expr))),
    }
}
