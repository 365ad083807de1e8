//! Records when a process learns that it waits in the server's queue: only its traces show that.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event as Trace, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::history::{Event, Recorder};
use crate::trace_layer;

/// Records this from now on, as the process' subscriber.
pub(super) fn record(recorder: &Arc<Recorder>) {
    let places = Places(Arc::clone(recorder));
    tracing_subscriber::registry()
        .with(trace_layer())
        .with(places.with_filter(filter_fn(|it| {
            it.is_event() && it.target().starts_with("lockattr")
        })))
        .init();
}

struct Places(Arc<Recorder>);

impl<S: Subscriber> Layer<S> for Places {
    fn on_event(&self, trace: &Trace<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        trace.record(&mut said);
        // A call behind another call of the same process does not know when the lock ends.
        if said.message == "waiting for the lock" && said.ends_in.starts_with("Some") {
            let (_, number) = said.key.rsplit_once(':').expect("a key of the campaign");
            let key = number.parse().expect("a key of the campaign");
            self.0.record(0, Event::Queued { key });
        }
    }
}

#[derive(Default)]
struct Said {
    message: String,
    key: String,
    ends_in: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "key" => &mut self.key,
            "ends_in" => &mut self.ends_in,
            _ => return,
        };
        write!(text, "{value:?}").expect("a String takes everything");
    }
}
