//! The options between the parentheses of `#[distributed_lock(...)]`.

mod values;

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, LitStr, Path, Result, Token};

use crate::errors::Errors;
use crate::key::Key;
use crate::params::Params;
use crate::timing::{Timing, argument_in, is_closed, timing};
use crate::{duration, suggest};
use values::{choice, handler, krate, pool, replicas, switch};

#[derive(Clone, Copy)]
enum Name {
    Key,
    Ttl,
    Wait,
    Renew,
    MaxHold,
    OnLost,
    OnBusy,
    OrElse,
    Bind,
    Pool,
    Reentrant,
    Release,
    ConfirmReplicas,
    ConfirmFsync,
    Crate,
}

const OPTIONS: [(&str, Name); 15] = [
    ("key", Name::Key),
    ("ttl", Name::Ttl),
    ("wait", Name::Wait),
    ("renew", Name::Renew),
    ("max_hold", Name::MaxHold),
    ("on_lost", Name::OnLost),
    ("on_busy", Name::OnBusy),
    ("or_else", Name::OrElse),
    ("bind", Name::Bind),
    ("pool", Name::Pool),
    ("reentrant", Name::Reentrant),
    ("release", Name::Release),
    ("confirm_replicas", Name::ConfirmReplicas),
    ("confirm_fsync", Name::ConfirmFsync),
    ("crate", Name::Crate),
];

/// The attribute's options, and every mistake in them.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) key: Option<Key>,
    pub(crate) ttl: Option<Timing<Duration>>,
    /// The inner `None` means without a limit.
    pub(crate) wait: Option<Timing<Option<Duration>>>,
    pub(crate) renew: Option<bool>,
    pub(crate) max_hold: Option<Timing<Duration>>,
    pub(crate) on_lost: Option<OnLost>,
    /// Where the value of `on_lost` stands.
    pub(crate) on_lost_at: Option<Span>,
    pub(crate) on_busy: Option<OnBusy>,
    pub(crate) or_else: Option<Expr>,
    /// The name under which the body sees its lease.
    pub(crate) bind: Option<Ident>,
    pub(crate) pool: Option<Pool>,
    pub(crate) reentrant: Option<bool>,
    pub(crate) release: Option<Release>,
    pub(crate) confirm_replicas: Option<u8>,
    pub(crate) confirm_fsync: Option<bool>,
    /// The path of the runtime crate.
    pub(crate) krate: Option<Path>,
    pub(crate) errors: Errors,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLost {
    Cancel,
    Finish,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnBusy {
    Error,
    Skip,
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
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let ahead = input.fork();
            match args.parse_option(&ahead, &mut seen) {
                Ok(()) => input.advance_to(&ahead),
                Err(error) => args.errors.push(error),
            }
            // After a mistake, parse the next option: it may hold another mistake.
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
        let Some((_, option)) = OPTIONS.iter().find(|(name, _)| *name == text) else {
            return Err(Error::new(name.span(), describe_unknown(&text)));
        };
        if seen.contains(&name) {
            return Err(Error::new(name.span(), format!("`{text}` is given twice")));
        }
        seen.push(name.clone());
        if matches!(option, Name::Key) {
            self.key = Some(Key::parse_after_name(input)?);
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
            Name::Key => self.key = Some(Key::parse_after_name(input)?),
            Name::Ttl => self.ttl = Some(timing(input, duration::ttl)?),
            Name::Wait => self.wait = Some(timing(input, duration::wait)?),
            Name::MaxHold => self.max_hold = Some(timing(input, duration::max_hold)?),
            Name::Renew => self.renew = Some(switch(input)?),
            Name::Reentrant => self.reentrant = Some(switch(input)?),
            Name::ConfirmReplicas => self.confirm_replicas = Some(replicas(input)?),
            Name::ConfirmFsync => self.confirm_fsync = Some(switch(input)?),
            Name::OnLost => {
                let choices = [("cancel", OnLost::Cancel), ("finish", OnLost::Finish)];
                self.on_lost_at = Some(input.span());
                self.on_lost = Some(choice(input, choices)?);
            }
            Name::OnBusy => {
                let choices = [("error", OnBusy::Error), ("skip", OnBusy::Skip)];
                self.on_busy = Some(choice(input, choices)?);
            }
            Name::Release => {
                let choices = [
                    ("await", Release::Await),
                    ("background", Release::Background),
                ];
                self.release = Some(choice(input, choices)?);
            }
            Name::OrElse => self.or_else = Some(handler(input)?),
            Name::Bind => self.bind = Some(input.parse()?),
            Name::Pool => self.pool = Some(pool(input)?),
            Name::Crate => self.krate = Some(krate(input)?),
        }
        Ok(())
    }

    /// Refuses function arguments in times: a time is a constant.
    pub(crate) fn check_times(&self, params: &Params, errors: &mut Errors) {
        let ttl = self.ttl.as_ref().and_then(Timing::expr);
        let wait = self.wait.as_ref().and_then(Timing::expr);
        let max_hold = self.max_hold.as_ref().and_then(Timing::expr);
        for (option, expr) in [("ttl", ttl), ("wait", wait), ("max_hold", max_hold)] {
            if let Some(argument) =
                expr.and_then(|expr| argument_in(expr.to_token_stream(), params))
            {
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

    /// Refuses options that contradict each other.
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
        if let (Some(OnBusy::Skip), Some(Timing::Literal(None, span))) = (self.on_busy, &self.wait)
        {
            self.errors.at(*span, "`on_busy = \"skip\"` never happens with `wait = \"forever\"`; without `wait` it skips at once");
        }
    }

    /// Returns whether the times can stand in a `const` item: they name no type parameter.
    pub(crate) fn has_checkable_times(&self) -> bool {
        let ttl = self.ttl.as_ref().and_then(Timing::expr);
        let max_hold = self.max_hold.as_ref().and_then(Timing::expr);
        let wait = self.wait.as_ref().and_then(Timing::expr);
        let mut checked = ttl.iter().chain(&max_hold).peekable();
        checked.peek().is_some() && checked.chain(&wait).all(|expr| is_closed(expr))
    }

    pub(crate) fn skips_when_busy(&self) -> bool {
        self.on_busy == Some(OnBusy::Skip)
    }

    pub(crate) fn finishes_when_lost(&self) -> bool {
        self.on_lost == Some(OnLost::Finish)
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

fn describe_unknown(name: &str) -> String {
    let names = OPTIONS.map(|(name, _)| name);
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
            crate = ::renamed,
        };
        assert_eq!(mistakes(tokens.clone()), "");
        let args: Args = syn::parse2(tokens).unwrap();
        assert!(
            matches!(args.ttl, Some(Timing::Literal(ttl, _)) if ttl == Duration::from_secs(10))
        );
        assert!(matches!(args.wait, Some(Timing::Literal(None, _))));
        assert!(args.finishes_when_lost() && !args.skips_when_busy());
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
