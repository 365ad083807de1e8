//! Where the traces of a call belong, on whatever thread they are emitted.

use std::fmt;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Span, debug_span, dispatcher};

use crate::protocol::Terms;

/// The span of a call, and the dispatcher under which it was made.
///
/// Both are needed: an event goes to the dispatcher of the thread that emits it, and there the id
/// of another dispatcher's span means nothing, or names an unrelated span.
#[derive(Clone)]
pub(crate) struct CallTrace {
    span: Span,
    /// `None` if there was none yet.
    dispatch: Option<Dispatch>,
}

impl CallTrace {
    /// For a call that this thread makes. The names are as OpenTelemetry has them: `docs/observability.md`
    /// promises them.
    pub(super) fn of(terms: &Terms) -> Self {
        let span = debug_span!(
            "lock",
            lock.key = %terms.key,
            lock.template = terms.label.template(),
            lock.function = %terms.label,
            lock.mode = %terms.mode,
            lock.fencing_token = Empty,
            "error.type" = Empty,
        );
        Self {
            span,
            dispatch: present_dispatcher(),
        }
    }

    /// For events that belong to no call.
    pub(crate) fn none() -> Self {
        Self {
            span: Span::none(),
            dispatch: None,
        }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Links this call's span to that of the call before it: OpenTelemetry shows that as a link.
    ///
    /// An id means nothing to another subscriber, so only spans of the process' global one are linked.
    pub(super) fn follows_from(&self, before: &Self) {
        let are_enabled = !self.span.is_disabled() && !before.span.is_disabled();
        if are_enabled && self.is_global() && before.is_global() {
            self.span.follows_from(before.span.id());
        }
    }

    fn is_global(&self) -> bool {
        // Nothing but its text tells. If that changes, spans have no links, and a test fails.
        let dispatch = self.dispatch.as_ref();
        dispatch.is_some_and(|dispatch| format!("{dispatch:?}").starts_with("Dispatch::Global"))
    }

    /// Emits an event of this level to the call's dispatcher, with the call's span as its parent.
    pub(super) fn emit(&self, level: Level, event: impl FnOnce(&Span)) {
        match &self.dispatch {
            Some(dispatch) if level <= LevelFilter::current() => {
                dispatcher::with_default(dispatch, || event(&self.span));
            }
            // No subscriber listens, and changing the dispatcher would cost more than everything
            // else.
            _ => event(&self.span),
        }
    }
}

/// Returns the dispatcher of this thread, if there is one already.
pub(super) fn present_dispatcher() -> Option<Dispatch> {
    dispatcher::get_default(|dispatch| {
        let is_there = !dispatch.is::<NoSubscriber>();
        is_there.then(|| dispatch.clone())
    })
}

impl fmt::Debug for CallTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallTrace").field(&self.span).finish()
    }
}
