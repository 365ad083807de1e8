//! What a subscriber wrote.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Dispatch, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// The output of a subscriber.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns the lines with this text.
    #[must_use]
    pub fn of(&self, what: &str) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&all);
        let lines = text.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    }

    /// Returns a subscriber that writes here.
    #[must_use]
    pub fn subscriber(&self, level: LevelFilter) -> Dispatch {
        let registry = tracing_subscriber::registry();
        registry.with(level).with(self.layer()).into()
    }

    /// Returns the layer that writes here.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let lines = self.clone();
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_writer(move || lines.clone())
    }
}
