//! Connecting at start-up: all connections at once, and what is checked by then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tracing::info;

use super::dial::Dialer;
use super::link::{Connection, Link};
use super::names::Names;
use super::{RedisBackend, RedisSettings, failure, settings_check};
use crate::backend::OwnerIds;
use crate::{Error, timing};

impl RedisBackend {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL that does not parse, a server that cannot keep locks or is refused
    /// under `strict`, and a claim window that is too short for the way there; [`Error::Connect`]
    /// when the server is not there within the connect timeout.
    pub(crate) async fn connect(settings: RedisSettings, owners: &OwnerIds) -> Result<Self, Error> {
        let names = Names::new(settings.options.prefix.clone());
        let dialer = Arc::new(Dialer::new(&settings)?);
        let connecting = Self::dial_all(&settings, names, Arc::clone(&dialer), owners);
        tokio::time::timeout(settings.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(dialer.no_connection().at_startup(&settings.place)))
    }

    async fn dial_all(
        settings: &RedisSettings,
        names: Names,
        dialer: Arc<Dialer>,
        owners: &OwnerIds,
    ) -> Result<Self, Error> {
        let (inbox, reports) = unbounded_channel();
        let following = dialer.follow(&inbox);
        let channel = |link: usize| format!("{}{link}", owners.prefix());
        let mut dials = JoinSet::new();
        for link in 0..settings.options.connections {
            let dialling = Arc::clone(&dialer).dial(link, 0, inbox.clone(), channel(link));
            dials.spawn(async move { (link, dialling.await) });
        }
        let mut connections: Vec<(usize, Connection)> =
            Vec::with_capacity(settings.options.connections);
        while let Some(dialled) = dials.join_next().await {
            let (link, dialled) = dialled.expect("a dial neither panics nor is aborted");
            let connection = dialled.map_err(|refusal| refusal.at_startup(&settings.place))?;
            connections.push((link, connection));
        }
        connections.sort_unstable_by_key(|(link, _)| *link);
        let fastest = connections
            .iter()
            .map(|(_, connection)| connection.round_trip);
        let least_claim_window =
            least_claim_window(settings.claim_window, fastest.min().unwrap_or_default())?;
        if let Some((_, first)) = connections.first() {
            settings_check::check(first.shared.clone(), settings).await?;
        }
        info!(
            server = settings.place,
            prefix = settings.options.prefix,
            "locks are kept on Redis"
        );
        let links = connections.into_iter().map(|(link, connection)| {
            Link::new(connection, channel(link), failure::disconnected())
        });
        Ok(Self {
            owners: owners.clone(),
            dialer,
            following,
            names,
            links: links.collect(),
            // Longer would be for ever, and overflow.
            response_timeout: settings.response_timeout.min(timing::MAX_TTL),
            least_claim_window,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            in_flight: HashMap::new(),
            done: VecDeque::new(),
            calls: FuturesUnordered::new(),
            sent: 0,
            inbox,
            reports,
        })
    }
}

/// Returns the least claim window that suits the way to the server.
fn least_claim_window(set: Option<Duration>, round_trip: Duration) -> Result<Duration, Error> {
    let least = timing::least_claim_window(round_trip);
    let Some(set) = set.filter(|set| *set < least) else {
        return Ok(least);
    };
    let reason = format!(
        "{set:?} is too short for a round trip of {round_trip:?} to this server: no claim could be \
         in time; set at least {least:?}"
    );
    Err(Error::config("claim_window", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::MIN_CLAIM_WINDOW;

    #[test]
    fn a_claim_window_has_to_suit_the_way_to_the_server() {
        let millis = Duration::from_millis;
        let near = Duration::from_micros(70);
        least_claim_window(Some(millis(50)), near).unwrap();
        least_claim_window(Some(millis(1000)), millis(180)).unwrap();
        least_claim_window(Some(Duration::MAX), Duration::MAX).unwrap();
        assert_eq!(least_claim_window(None, near).unwrap(), MIN_CLAIM_WINDOW);
        assert!(least_claim_window(None, millis(300)).unwrap() >= millis(3000));
        let refused = least_claim_window(Some(millis(60)), millis(10)).unwrap_err();
        let text = refused.to_string();
        assert!(matches!(
            refused,
            Error::Config {
                setting: "claim_window",
                ..
            }
        ));
        assert!(text.contains("60ms") && text.contains("10ms"), "{text}");
    }
}
