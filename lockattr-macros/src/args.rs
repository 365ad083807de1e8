//! The options between the parentheses of `#[distributed_lock(...)]`.

mod contradictions;
mod values;

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, LitStr, Path, Result, Token};

use crate::constant::{Constant, argument_in, count, is_closed, is_closed_number, timing};
use crate::errors::Errors;
use crate::key::Key;
use crate::params::Params;
use crate::{duration, suggest};
use values::{choice, condition, handler, keys, krate, on_busy, pool, replicas, switch};

#[derive(Clone, Copy)]
enum Name {
    Key,
    Keys,
    Ttl,
    Wait,
    Renew,
    MaxHold,
    OnLost,
    OnBusy,
    OrElse,
    When,
    Bind,
    Pool,
    Shared,
    Permits,
    Weight,
    MinHold,
    MinHoldOnFailure,
    Reentrant,
    Release,
    ConfirmReplicas,
    ConfirmFsync,
    Crate,
}

const OPTIONS: [(&str, Name); 22] = [
    ("key", Name::Key),
    ("keys", Name::Keys),
    ("ttl", Name::Ttl),
    ("wait", Name::Wait),
    ("renew", Name::Renew),
    ("max_hold", Name::MaxHold),
    ("on_lost", Name::OnLost),
    ("on_busy", Name::OnBusy),
    ("or_else", Name::OrElse),
    ("when", Name::When),
    ("bind", Name::Bind),
    ("pool", Name::Pool),
    ("shared", Name::Shared),
    ("permits", Name::Permits),
    ("weight", Name::Weight),
    ("min_hold", Name::MinHold),
    ("min_hold_on_failure", Name::MinHoldOnFailure),
    ("reentrant", Name::Reentrant),
    ("release", Name::Release),
    ("confirm_replicas", Name::ConfirmReplicas),
    ("confirm_fsync", Name::ConfirmFsync),
    ("crate", Name::Crate),
];

/// The attribute's options, and every mistake in them.
#[derive(Default)]
pub(crate) struct Args {
    /// One, or those of `keys`.
    pub(crate) keys: Vec<Key>,
    pub(crate) ttl: Option<Constant<Duration>>,
    /// The inner `None` means without a limit.
    pub(crate) wait: Option<Constant<Option<Duration>>>,
    pub(crate) renew: Option<bool>,
    pub(crate) max_hold: Option<Constant<Duration>>,
    pub(crate) on_lost: Option<OnLost>,
    /// Where the value of `on_lost` stands.
    pub(crate) on_lost_at: Option<Span>,
    pub(crate) on_busy: Option<OnBusy>,
    pub(crate) or_else: Option<Expr>,
    /// Whether the call needs the lock.
    pub(crate) when: Option<Expr>,
    /// The name under which the body sees its lease.
    pub(crate) bind: Option<Ident>,
    pub(crate) pool: Option<Pool>,
    pub(crate) shared: Option<bool>,
    pub(crate) permits: Option<Constant<u32>>,
    pub(crate) weight: Option<Constant<u32>>,
    pub(crate) min_hold: Option<Constant<Duration>>,
    pub(crate) min_hold_on_failure: Option<bool>,
    pub(crate) reentrant: Option<bool>,
    pub(crate) release: Option<Release>,
    pub(crate) confirm_replicas: Option<u8>,
    pub(crate) confirm_fsync: Option<bool>,
    /// The path of the runtime crate.
    pub(crate) krate: Option<Path>,
    /// The names of the options, where they stand.
    names: Vec<Ident>,
    pub(crate) errors: Errors,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLost {
    Cancel,
    Finish,
    Error,
}

pub(crate) enum OnBusy {
    Error,
    Skip,
    Handler(Expr),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    Await,
    Background,
}

pub(crate) enum Pool {
    Named(LitStr),
    Expr(Box<Expr>),
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            let ahead = input.fork();
            match args.parse_option(&ahead) {
                Ok(()) => input.advance_to(&ahead),
                Err(error) => args.errors.push(error),
            }
            // After a mistake, parse the next option: it may hold another mistake.
            while !input.is_empty() && !input.peek(Token![,]) {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![,]>>()?;
        }
        if args.named("key").or(args.named("keys")).is_none() {
            args.errors
                .at(input.span(), "missing `key = \"…\"`: what is being locked?");
        }
        args.check_against_each_other();
        Ok(args)
    }
}

impl Args {
    fn parse_option(&mut self, input: ParseStream<'_>) -> Result<()> {
        if let Ok(literal) = input.fork().parse::<LitStr>() {
            self.names.push(Ident::new("key", literal.span()));
            return Err(Error::new(
                literal.span(),
                "a template goes with the option `key`; write `key = \"…\"`",
            ));
        }
        let name = input.call(Ident::parse_any)?;
        let text = name.to_string();
        let Some((_, option)) = OPTIONS.iter().find(|(name, _)| *name == text) else {
            return Err(Error::new(name.span(), describe_unknown(&text)));
        };
        if self.names.contains(&name) {
            return Err(Error::new(name.span(), format!("`{text}` is given twice")));
        }
        if matches!(option, Name::Key | Name::Keys) && !self.keys.is_empty() {
            let reason = "`key` and `keys` are both given; put all keys into `keys`";
            return Err(Error::new(name.span(), reason));
        }
        self.names.push(name.clone());
        if matches!(option, Name::Key) {
            self.keys = vec![Key::parse_after_name(input)?];
        } else {
            let has_value = input.parse::<Option<Token![=]>>()?.is_some()
                && !input.is_empty()
                && !input.peek(Token![,]);
            if !has_value {
                return Err(Error::new(name.span(), format!("`{text}` has no value")));
            }
            self.parse_value(*option, input)?;
        }
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(());
        }
        Err(input.error("expected `,` and the next option"))
    }

    fn parse_value(&mut self, option: Name, input: ParseStream<'_>) -> Result<()> {
        match option {
            Name::Key => self.keys = vec![Key::parse_after_name(input)?],
            Name::Keys => self.keys = keys(input)?,
            Name::Ttl => self.ttl = Some(timing(input, duration::ttl)?),
            Name::Wait => self.wait = Some(timing(input, duration::wait)?),
            Name::MaxHold => self.max_hold = Some(timing(input, duration::max_hold)?),
            Name::MinHold => self.min_hold = Some(timing(input, duration::min_hold)?),
            Name::MinHoldOnFailure => self.min_hold_on_failure = Some(switch(input)?),
            Name::Shared => self.shared = Some(switch(input)?),
            Name::Permits => self.permits = Some(count(input, "permits")?),
            Name::Weight => self.weight = Some(count(input, "weight")?),
            Name::Renew => self.renew = Some(switch(input)?),
            Name::Reentrant => self.reentrant = Some(switch(input)?),
            Name::ConfirmReplicas => self.confirm_replicas = Some(replicas(input)?),
            Name::ConfirmFsync => self.confirm_fsync = Some(switch(input)?),
            Name::OnLost => {
                let choices = [
                    ("cancel", OnLost::Cancel),
                    ("finish", OnLost::Finish),
                    ("error", OnLost::Error),
                ];
                self.on_lost_at = Some(input.span());
                self.on_lost = Some(choice(input, choices)?);
            }
            Name::OnBusy => self.on_busy = Some(on_busy(input)?),
            Name::Release => {
                let choices = [
                    ("await", Release::Await),
                    ("background", Release::Background),
                ];
                self.release = Some(choice(input, choices)?);
            }
            Name::OrElse => self.or_else = Some(handler(input, "or_else", "Error")?),
            Name::When => self.when = Some(condition(input)?),
            Name::Bind => self.bind = Some(input.parse()?),
            Name::Pool => self.pool = Some(pool(input)?),
            Name::Crate => self.krate = Some(krate(input)?),
        }
        Ok(())
    }

    /// Returns where an option is named.
    fn named(&self, option: &str) -> Option<&Ident> {
        self.names.iter().find(|name| *name == option)
    }

    /// The constant expressions, with the names of their options.
    fn constants(&self) -> impl Iterator<Item = (&'static str, &Expr)> {
        [
            ("ttl", expr(self.ttl.as_ref())),
            ("wait", expr(self.wait.as_ref())),
            ("max_hold", expr(self.max_hold.as_ref())),
            ("min_hold", expr(self.min_hold.as_ref())),
            ("permits", expr(self.permits.as_ref())),
            ("weight", expr(self.weight.as_ref())),
        ]
        .into_iter()
        .filter_map(|(name, expr)| Some((name, expr?)))
    }

    /// Refuses function arguments in constants.
    pub(crate) fn check_constants(&self, params: &Params, errors: &mut Errors) {
        for (option, expr) in self.constants() {
            if let Some(argument) = argument_in(expr.to_token_stream(), params) {
                errors.at(
                    argument.span(),
                    format!(
                        "`{argument}` is known only when the function is called, and `{option}` is fixed when it is \
                         compiled: write a literal or a constant, or lock by hand with \
                         `pool.lock(lockattr::key!(\"…\")).{option}(…).run(|lease| …)`"
                    ),
                );
            }
        }
    }

    /// Returns whether there is a constant that the compiler has to check.
    pub(crate) fn has_constants(&self) -> bool {
        self.constants().any(|(option, _)| option != "wait")
    }

    /// Returns whether the constants can stand in a `const` item: they name no type parameter.
    pub(crate) fn has_closed_constants(&self) -> bool {
        self.constants().all(|(option, expr)| match option {
            "permits" | "weight" => is_closed_number(expr),
            _ => is_closed(expr),
        })
    }

    pub(crate) fn skips_when_busy(&self) -> bool {
        matches!(self.on_busy, Some(OnBusy::Skip))
    }

    /// The `on_busy` that is a function.
    pub(crate) fn busy_handler(&self) -> Option<&Expr> {
        match &self.on_busy {
            Some(OnBusy::Handler(handler)) => Some(handler),
            _ => None,
        }
    }

    /// Returns whether only a body that did not fail keeps others out for `min_hold`.
    pub(crate) fn judges_value(&self) -> bool {
        self.min_hold.is_some() && self.min_hold_on_failure != Some(true)
    }
}

impl Pool {
    /// The text as the user wrote it, to compare two pools.
    pub(crate) fn text(pool: Option<&Self>) -> Option<String> {
        pool.map(|pool| match pool {
            Self::Named(name) => name.to_token_stream().to_string(),
            Self::Expr(expr) => expr.to_token_stream().to_string(),
        })
    }
}

fn expr<T>(constant: Option<&Constant<T>>) -> Option<&Expr> {
    constant.and_then(Constant::expr)
}

pub(crate) fn option_names() -> [&'static str; 22] {
    OPTIONS.map(|(name, _)| name)
}

fn describe_unknown(name: &str) -> String {
    let names = option_names();
    match (name, suggest::nearest(name, names)) {
        ("timeout" | "wait_timeout", _) => format!("unknown option `{name}`; did you mean `wait`?"),
        ("expire" | "expiry" | "lease", _) => {
            format!("unknown option `{name}`; did you mean `ttl`?")
        }
        (_, Some(near)) => format!("unknown option `{name}`; did you mean `{near}`?"),
        (_, None) => format!(
            "unknown option `{name}`; there are `{}`",
            names.join("`, `")
        ),
    }
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
            reentrant = true, release = "background", confirm_replicas = 2, confirm_fsync = true,
            shared = false, permits = 5, weight = PARTS, min_hold = "30s", min_hold_on_failure = true,
            when = id > 3, crate = ::renamed,
        };
        assert_eq!(mistakes(tokens.clone()), "");
        let args: Args = syn::parse2(tokens).unwrap();
        assert!(
            matches!(args.ttl, Some(Constant::Literal(ttl, _)) if ttl == Duration::from_secs(10))
        );
        assert!(matches!(args.wait, Some(Constant::Literal(None, _))));
        assert!(args.on_lost == Some(OnLost::Finish) && !args.skips_when_busy());
        assert!(args.shared == Some(false) && args.when.is_some());
        assert!(matches!(args.permits, Some(Constant::Literal(5, _))));
        assert!(matches!(args.weight, Some(Constant::Const(_))));
        assert!(args.min_hold.is_some() && !args.judges_value());
        assert!(args.release == Some(Release::Background));
        assert!(args.confirm_replicas == Some(2) && args.confirm_fsync == Some(true));
        assert!(matches!(args.pool, Some(Pool::Expr(_))));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
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
