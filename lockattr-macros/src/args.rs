//! What is written between the parentheses of `#[distributed_lock(...)]`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Lit, LitStr, Path, Result, Token};

use crate::errors::Errors;
use crate::key::Key;
use crate::{duration, suggest};

const OPTIONS: [&str; 12] = [
    "key",
    "ttl",
    "wait",
    "renew",
    "max_hold",
    "on_lost",
    "on_busy",
    "or_else",
    "bind",
    "pool",
    "reentrant",
    "crate",
];

/// The attribute's options, and every mistake in them.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) key: Option<Key>,
    pub(crate) ttl: Option<Timing<Duration>>,
    /// `None` inside is for ever.
    pub(crate) wait: Option<Timing<Option<Duration>>>,
    pub(crate) renew: Option<bool>,
    pub(crate) max_hold: Option<Timing<Duration>>,
    pub(crate) on_lost: Option<&'static str>,
    pub(crate) on_busy: Option<&'static str>,
    pub(crate) or_else: Option<Expr>,
    /// The name under which the body sees its lease.
    pub(crate) bind: Option<Ident>,
    pub(crate) pool: Option<Pool>,
    pub(crate) reentrant: Option<bool>,
    /// Where the runtime crate is to be found.
    pub(crate) krate: Option<Path>,
    pub(crate) errors: Errors,
}

/// A time, as the macro can see it or as the compiler will.
pub(crate) enum Timing<T> {
    Literal(T, Span),
    Const(Box<Expr>),
}

pub(crate) enum Pool {
    Named(LitStr),
    Expr(Box<Expr>),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let ahead = input.fork();
            match args.parse_option(&ahead, &mut seen) {
                Ok(()) => input.advance_to(&ahead),
                Err(error) => args.errors.push(error),
            }
            // After a mistake: on to the next option, which may hold another.
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        if !seen.iter().any(|name| name == "key") {
            args.errors.at(
                Span::call_site(),
                "missing `key = \"…\"`: what is being locked?",
            );
        }
        args.check_against_each_other();
        Ok(args)
    }
}

impl Args {
    fn parse_option(&mut self, input: ParseStream<'_>, seen: &mut Vec<Ident>) -> Result<()> {
        if let Ok(literal) = input.fork().parse::<LitStr>() {
            seen.push(Ident::new("key", literal.span()));
            return Err(Error::new(
                literal.span(),
                "a template goes with the option `key`; write `key = \"…\"`",
            ));
        }
        let name = input.call(Ident::parse_any)?;
        let text = name.to_string();
        if !OPTIONS.contains(&text.as_str()) {
            return Err(Error::new(name.span(), describe_unknown(&text)));
        }
        if seen.contains(&name) {
            return Err(Error::new(name.span(), format!("`{text}` is given twice")));
        }
        seen.push(name.clone());
        if text == "key" {
            self.key = Some(Key::parse_after_name(input)?);
        } else {
            let has_value = input.parse::<Option<Token![=]>>()?.is_some()
                && !input.is_empty()
                && !input.peek(Token![,]);
            if !has_value {
                return Err(Error::new(name.span(), format!("`{text}` has no value")));
            }
            self.parse_value(&text, input)?;
        }
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(());
        }
        Err(input.error("expected `,` and the next option"))
    }

    fn parse_value(&mut self, name: &str, input: ParseStream<'_>) -> Result<()> {
        match name {
            "ttl" => self.ttl = Some(timing(input, duration::ttl)?),
            "wait" => self.wait = Some(timing(input, duration::wait)?),
            "max_hold" => self.max_hold = Some(timing(input, duration::max_hold)?),
            "renew" => self.renew = Some(switch(input)?),
            "reentrant" => self.reentrant = Some(switch(input)?),
            "on_lost" => self.on_lost = Some(choice(input, ["cancel", "finish"])?),
            "on_busy" => self.on_busy = Some(choice(input, ["error", "skip"])?),
            "or_else" => self.or_else = Some(input.parse()?),
            "bind" => self.bind = Some(input.parse()?),
            "pool" => self.pool = Some(pool(input)?),
            _ => self.krate = Some(krate(input)?),
        }
        Ok(())
    }

    /// Options that are right by themselves, but not together.
    fn check_against_each_other(&mut self) {
        if let Some(Timing::Literal(max_hold, span)) = self.max_hold {
            if self.renew == Some(false) {
                self.errors.at(
                    span,
                    "`max_hold` bounds renewal, and `renew = false` turns it off; drop one of them",
                );
            } else if let Some(Timing::Literal(ttl, _)) = self.ttl
                && max_hold < ttl
            {
                self.errors.at(span, "`max_hold` is shorter than `ttl`: the lease would end before it has to be renewed");
            }
        }
        if let (Some("skip"), Some(Timing::Literal(None, span))) = (self.on_busy, &self.wait) {
            self.errors.at(*span, "`on_busy = \"skip\"` never happens with `wait = \"forever\"`; write `wait = \"0s\"`");
        }
    }

    pub(crate) fn skips_when_busy(&self) -> bool {
        self.on_busy == Some("skip")
    }

    pub(crate) fn finishes_when_lost(&self) -> bool {
        self.on_lost == Some("finish")
    }
}

fn describe_unknown(name: &str) -> String {
    match (name, suggest::nearest(name, OPTIONS)) {
        ("timeout" | "wait_timeout", _) => format!("unknown option `{name}`; did you mean `wait`?"),
        ("expire" | "expiry" | "lease", _) => {
            format!("unknown option `{name}`; did you mean `ttl`?")
        }
        (_, Some(near)) => format!("unknown option `{name}`; did you mean `{near}`?"),
        (_, None) => format!(
            "unknown option `{name}`; there are `{}`",
            OPTIONS.join("`, `")
        ),
    }
}

/// A literal is read here; anything else is for the compiler, as a constant expression.
fn timing<T>(input: ParseStream<'_>, read: impl FnOnce(&LitStr) -> Result<T>) -> Result<Timing<T>> {
    let mut expr: Expr = input.parse()?;
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    match &expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal),
            ..
        }) => Ok(Timing::Literal(read(literal)?, literal.span())),
        Expr::Lit(ExprLit { lit, .. }) => {
            let text = quote::quote!(#lit).to_string();
            Err(Error::new(
                lit.span(),
                format!("a duration needs a unit: write \"{text}s\" or \"{text}ms\""),
            ))
        }
        _ => Ok(Timing::Const(Box::new(expr))),
    }
}

fn switch(input: ParseStream<'_>) -> Result<bool> {
    match input.parse::<Expr>()? {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(value),
            ..
        }) => Ok(value.value),
        other => Err(Error::new_spanned(other, "expected `true` or `false`")),
    }
}

fn choice(input: ParseStream<'_>, choices: [&'static str; 2]) -> Result<&'static str> {
    let expr: Expr = input.parse()?;
    if let Expr::Lit(ExprLit {
        lit: Lit::Str(literal),
        ..
    }) = &expr
        && let Some(choice) = choices
            .into_iter()
            .find(|choice| *choice == literal.value())
    {
        return Ok(choice);
    }
    let [first, second] = choices;
    Err(Error::new_spanned(
        expr,
        format!("expected \"{first}\" or \"{second}\""),
    ))
}

fn pool(input: ParseStream<'_>) -> Result<Pool> {
    Ok(match input.parse::<Expr>()? {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) => Pool::Named(name),
        expr => Pool::Expr(Box::new(expr)),
    })
}

fn krate(input: ParseStream<'_>) -> Result<Path> {
    let path = input.call(Path::parse_mod_style)?;
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

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn mistakes(tokens: proc_macro2::TokenStream) -> String {
        let args: Args = syn::parse2(tokens).unwrap();
        args.errors
            .into_tokens()
            .map(|errors| errors.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn every_option_is_read() {
        let tokens = quote! {
            key("a:{id}", id = order.id()), ttl = "10s", wait = "forever", renew = true, max_hold = "5m",
            on_lost = "finish", on_busy = "error", or_else = handler, bind = lease, pool = self.locks,
            reentrant = true, crate = ::renamed,
        };
        assert_eq!(mistakes(tokens.clone()), "");
        let args: Args = syn::parse2(tokens).unwrap();
        assert!(
            matches!(args.ttl, Some(Timing::Literal(ttl, _)) if ttl == Duration::from_secs(10))
        );
        assert!(matches!(args.wait, Some(Timing::Literal(None, _))));
        assert!(args.finishes_when_lost() && !args.skips_when_busy());
        assert!(matches!(args.pool, Some(Pool::Expr(_))));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = mistakes(quote!(
            tll = "1s",
            ttl = 10,
            wait,
            renew = "yes",
            on_busy = "ignore",
            ttl = "1s"
        ));
        for part in [
            "did you mean `ttl`",
            "needs a unit",
            "`wait` has no value",
            "`true` or `false`",
            "\\\"skip\\\"",
            "missing `key",
            "given twice",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
