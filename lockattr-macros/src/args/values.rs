//! The values of the options.

use quote::ToTokens as _;
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprLit, ExprPath, Lit, Path, Result};

use super::{OnBusy, Pool};
use crate::key::Key;
use crate::written::bare;

/// Several keys, each a template or an expression.
pub(super) fn keys(input: ParseStream<'_>) -> Result<Vec<Key>> {
    const WANTED: &str =
        "expected the keys between brackets: `[\"account:{from}\", \"account:{to}\"]`";
    let expr: Expr = input.parse()?;
    let Expr::Array(list) = expr else {
        return Err(Error::new_spanned(expr, WANTED));
    };
    if list.elems.is_empty() {
        return Err(Error::new_spanned(list, WANTED));
    }
    let mut keys: Vec<Key> = Vec::new();
    for expr in list.elems {
        let at = expr.to_token_stream();
        let key = Key::of(expr)?;
        if keys.iter().any(|other| other.is_same(&key)) {
            return Err(Error::new_spanned(
                at,
                "this key stands here twice; drop one",
            ));
        }
        keys.push(key);
    }
    Ok(keys)
}

pub(super) fn switch(input: ParseStream<'_>) -> Result<bool> {
    let expr: Expr = input.parse()?;
    match bare(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(value),
            ..
        }) => Ok(value.value),
        _ => Err(Error::new_spanned(expr, "expected `true` or `false`")),
    }
}

pub(super) fn replicas(input: ParseStream<'_>) -> Result<u8> {
    let expr: Expr = input.parse()?;
    if let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = bare(&expr)
        && let Ok(number) = number.base10_parse()
    {
        return Ok(number);
    }
    Err(Error::new_spanned(
        expr,
        "expected a number of replicas, such as `1`, and 255 at most",
    ))
}

pub(super) fn choice<T: Copy, const N: usize>(
    input: ParseStream<'_>,
    choices: [(&str, T); N],
) -> Result<T> {
    let expr: Expr = input.parse()?;
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(literal),
        ..
    }) = bare(&expr)
        && let Some((_, choice)) = choices
            .iter()
            .find(|(choice, _)| *choice == literal.value())
    {
        return Ok(*choice);
    }
    let names = choices.map(|(name, _)| format!("\"{name}\"")).join(" or ");
    Err(Error::new_spanned(expr, format!("expected {names}")))
}

pub(super) fn on_busy(input: ParseStream<'_>) -> Result<OnBusy> {
    let expr: Expr = input.fork().parse()?;
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = bare(&expr)
    else {
        return handler(input, "on_busy", "Busy").map(OnBusy::Handler);
    };
    input.parse::<Expr>()?;
    match text.value().as_str() {
        "error" => Ok(OnBusy::Error),
        "skip" => Ok(OnBusy::Skip),
        _ => Err(Error::new_spanned(
            expr,
            "expected \"error\" or \"skip\", or a function `fn(lockattr::Busy) -> R`",
        )),
    }
}

/// Parses a condition. A literal is refused: it decides nothing.
pub(super) fn condition(input: ParseStream<'_>) -> Result<Expr> {
    let expr: Expr = input.parse()?;
    let reason = match bare(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(value),
            ..
        }) if value.value => "`when = true` changes nothing; drop it",
        Expr::Lit(ExprLit {
            lit: Lit::Bool(_), ..
        }) => "with `when = false` no call is ever locked; drop the attribute",
        Expr::Lit(_) => "expected a condition over the arguments, such as `amount > 100`",
        _ => return Ok(expr),
    };
    Err(Error::new_spanned(expr, reason))
}

/// Parses something callable. A plain value is refused here, because rustc would report it once for
/// each use.
pub(super) fn handler(input: ParseStream<'_>, option: &str, argument: &str) -> Result<Expr> {
    let expr: Expr = input.parse()?;
    let is_value = match bare(&expr) {
        Expr::Lit(_)
        | Expr::Array(_)
        | Expr::Tuple(_)
        | Expr::Repeat(_)
        | Expr::Struct(_)
        | Expr::Range(_)
        | Expr::Binary(_)
        | Expr::Unary(_) => true,
        Expr::Path(path) => path.path.is_ident("None"),
        Expr::Call(call) => matches!(&*call.func, Expr::Path(variant)
            if ["Ok", "Err", "Some"].iter().any(|name| variant.path.is_ident(name))),
        _ => false,
    };
    if !is_value {
        return Ok(expr);
    }
    let value = expr.to_token_stream();
    Err(Error::new_spanned(
        &expr,
        format!(
            "`{option}` is a function, `fn(lockattr::{argument}) -> R`; write `{option} = |_| {value}`"
        ),
    ))
}

pub(super) fn pool(input: ParseStream<'_>) -> Result<Pool> {
    let expr: Expr = input.parse()?;
    Ok(match bare(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) => Pool::Named(name.clone()),
        _ => Pool::Expr(Box::new(expr)),
    })
}

pub(super) fn krate(input: ParseStream<'_>) -> Result<Path> {
    let path = match input.fork().parse() {
        // A path from a macro fragment is wrapped in an invisible group.
        Ok(Expr::Group(group)) => {
            input.parse::<Expr>()?;
            let Expr::Path(ExprPath { path, .. }) = bare(&group.expr) else {
                return Err(Error::new_spanned(group, "expected a path"));
            };
            path.clone()
        }
        _ => input.call(Path::parse_mod_style)?,
    };
    let starts_absolutely = path.leading_colon.is_some()
        || path
            .segments
            .first()
            .is_some_and(|first| first.ident == "crate" || first.ident == "$crate");
    if starts_absolutely {
        return Ok(path);
    }
    Err(Error::new_spanned(
        path,
        "a path that means the same everywhere is needed: `::name` of a dependency, or `crate::path`",
    ))
}
