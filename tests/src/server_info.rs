//! What a server says of itself in INFO.

use std::collections::HashMap;

use crate::RedisServer;

impl RedisServer {
    /// Returns the fields of a section of INFO.
    pub(crate) fn info(&self, section: &str) -> HashMap<String, String> {
        let info: String = self.ask(&["INFO", section]);
        let fields = info.lines().filter_map(|line| line.split_once(':'));
        fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns how often scripts were called.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn script_calls(&self) -> usize {
        self.calls("eval")
    }

    /// Returns how often commands were called whose names begin so.
    pub(crate) fn calls(&self, prefix: &str) -> usize {
        let prefix = format!("cmdstat_{prefix}");
        let stats = self.info("commandstats");
        let of_command = stats.iter().filter(|(name, _)| name.starts_with(&prefix));
        let calls = |stats: &str| {
            stats
                .strip_prefix("calls=")?
                .split(',')
                .next()?
                .parse()
                .ok()
        };
        of_command
            .map(|(_, stats)| -> usize { calls(stats).expect("a number of calls") })
            .sum()
    }
}
