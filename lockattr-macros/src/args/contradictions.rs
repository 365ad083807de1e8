//! Options that contradict each other, each refused with its reason.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned as _;

use super::{Args, OnBusy};
use crate::constant::Constant;

impl Args {
    pub(super) fn check_against_each_other(&mut self) {
        let found: Vec<(Span, &str)> = [
            self.max_hold(),
            self.min_hold(),
            self.min_hold_on_failure(),
            self.weight(),
            self.permits(),
            self.wait(),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (span, reason) in found {
            self.errors.at(span, reason);
        }
    }

    fn max_hold(&self) -> Option<(Span, &'static str)> {
        let (max_hold, span) = literal(self.max_hold.as_ref())?;
        if self.renew == Some(false) {
            let reason =
                "`max_hold` bounds renewal, and `renew = false` turns it off; drop one of them";
            return Some((span, reason));
        }
        let (ttl, _) = literal(self.ttl.as_ref())?;
        (max_hold < ttl).then_some((
            span,
            "`max_hold` is shorter than `ttl`: the lease would end before it has to be renewed",
        ))
    }

    fn min_hold(&self) -> Option<(Span, &'static str)> {
        let (min_hold, span) = literal(self.min_hold.as_ref())?;
        let is_over =
            |limit: Option<(Duration, Span)>| limit.is_some_and(|(end, _)| end < min_hold);
        if is_over(literal(self.max_hold.as_ref())) {
            let reason = "`min_hold` is longer than `max_hold`, at which the lease ends: others would get in before";
            return Some((span, reason));
        }
        (self.renew == Some(false) && is_over(literal(self.ttl.as_ref()))).then_some((
            span,
            "`min_hold` is longer than `ttl`, at which the lease ends with `renew = false`: others would get in before",
        ))
    }

    fn min_hold_on_failure(&self) -> Option<(Span, &'static str)> {
        let name = self.named("min_hold_on_failure")?;
        self.named("min_hold").is_none().then(|| {
            let reason = "`min_hold_on_failure` says whether `min_hold` counts for a body that failed; set `min_hold = \"…\"` too";
            (name.span(), reason)
        })
    }

    fn weight(&self) -> Option<(Span, &'static str)> {
        let name = self.named("weight")?;
        if self.named("permits").is_none() {
            let reason = "`weight` is how many of the permits a call takes; say how many there are, `permits = …`";
            return Some((name.span(), reason));
        }
        let (weight, span) = literal(self.weight.as_ref())?;
        let (permits, _) = literal(self.permits.as_ref())?;
        (weight > permits).then_some((
            span,
            "`weight` is more than `permits`: the call could never run",
        ))
    }

    fn permits(&self) -> Option<(Span, &'static str)> {
        let name: &Ident = self.named("permits")?;
        (self.shared == Some(true)).then(|| {
            let reason = "`shared` lets any number of readers in, `permits` a fixed number of calls; drop one of them";
            (name.span(), reason)
        })
    }

    fn wait(&self) -> Option<(Span, &'static str)> {
        let Some(Constant::Literal(None, span)) = self.wait else {
            return None;
        };
        match &self.on_busy {
            Some(OnBusy::Skip) => Some((
                span,
                "`on_busy = \"skip\"` never happens with `wait = \"forever\"`; without `wait` it skips at once",
            )),
            Some(OnBusy::Handler(handler)) => Some((
                handler.span(),
                "with `wait = \"forever\"` the lock is never busy, so that nothing calls this; drop one of the two",
            )),
            _ => None,
        }
    }
}

fn literal<T: Copy>(constant: Option<&Constant<T>>) -> Option<(T, Span)> {
    match constant {
        Some(Constant::Literal(value, span)) => Some((*value, *span)),
        _ => None,
    }
}
