//! Connecting at start-up: all connections at once, and what is checked by then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tracing::info;

use super::cluster::{Cluster, discover};
use super::confirm::{Beside, Copies};
use super::connection::Connection;
use super::dial::Dialer;
use super::hello::Refusal;
use super::hosts;
use super::link::Link;
use super::names::Names;
use super::sentinel::Following;
use super::stream::Address;
use super::voice::{Mute, Voice};
use super::{RedisBackend, RedisSettings, Report, failure};
use crate::backend::OwnerIds;
use crate::{Error, timing};

impl RedisBackend {
    /// # Errors
    ///
    /// [`Error::Config`] for a URL that does not parse, a server that cannot keep locks or is refused
    /// under `strict`, and a claim window that is too short for the way there; [`Error::Connect`]
    /// when the server is not there within the connect timeout.
    pub(crate) async fn connect(settings: RedisSettings, owners: &OwnerIds) -> Result<Self, Error> {
        let (dialer, seeds) = match hosts::seeds(&settings.url)? {
            Some((target, seeds)) => (Dialer::to(&settings, target)?, Some(seeds)),
            None => (Dialer::new(&settings)?, None),
        };
        let dialer = Arc::new(dialer);
        let connecting = Self::find(&settings, Arc::clone(&dialer), seeds, owners);
        tokio::time::timeout(settings.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(dialer.no_connection().at_startup(&settings.place)))
    }

    async fn find(
        settings: &RedisSettings,
        dialer: Arc<Dialer>,
        seeds: Option<Vec<Address>>,
        owners: &OwnerIds,
    ) -> Result<Self, Error> {
        if let Some(seeds) = seeds {
            return Self::connect_cluster(settings, dialer, seeds, owners).await;
        }
        let copies = Copies::by_default_of(&settings.options);
        let inbox = unbounded_channel();
        let following = dialer.follow(&inbox.0);
        let links = settings.options.connections;
        let all = |dialer: &Dialer| {
            let shared = Arc::new(dialer.clone());
            let mut dialers = vec![shared; links];
            dialers.extend(copies.map(|copies| Arc::new(dialer.confirming(copies))));
            dialers
        };
        let dialled = dial_as_possible(&dialer, all, owners, &inbox.0).await;
        match (dialled, dialer.address()) {
            (Ok(dialled), _) => {
                let found = (following, None);
                Self::start(settings, dialled, found, (owners, inbox))
            }
            (Err((_, Refusal::IsNode)), Some(node)) => {
                info!(
                    server = settings.place,
                    "the server is a node of a Redis Cluster"
                );
                let seeds = vec![node.clone()];
                Self::connect_cluster(settings, dialer, seeds, owners).await
            }
            (Err((_, refusal)), _) => Err(refusal.at_startup(&settings.place)),
        }
    }

    async fn connect_cluster(
        settings: &RedisSettings,
        dialer: Arc<Dialer>,
        seeds: Vec<Address>,
        owners: &OwnerIds,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Connect {
            place: settings.place.as_str().into(),
            source,
        };
        let table = discover(&dialer, seeds.clone()).await.map_err(failed)?;
        if !table.is_ok || table.uncovered() > 0 {
            return Err(failed(failure::uncovered(table.uncovered())));
        }
        let copies = Copies::by_default_of(&settings.options);
        let masters = table.nodes();
        let mut nodes = masters.clone();
        if copies.is_some() {
            nodes.extend(masters.iter().cloned());
        }
        let all = |dialer: &Dialer| {
            let at = |node: &Address| dialer.at(node.clone());
            let confirming = masters.iter().map(at);
            let confirming = confirming.filter_map(|it| Some(it.confirming(copies?)));
            masters
                .iter()
                .map(at)
                .chain(confirming)
                .map(Arc::new)
                .collect()
        };
        let inbox = unbounded_channel();
        let dialled = dial_as_possible(&dialer, all, owners, &inbox.0).await;
        let dialled = dialled.map_err(|(link, refusal)| {
            let node = &nodes[link];
            refusal.at_startup(&format!("{node}, a node of {}", settings.place))
        })?;
        let dialer = Arc::new(dialer.with_voice(dialled.voice));
        let following = dialer.follow(&inbox.0);
        let cluster = Cluster::new(dialer, seeds, &table, nodes);
        let found = (following, Some(cluster));
        Self::start(settings, dialled, found, (owners, inbox))
    }

    pub(super) fn start(
        settings: &RedisSettings,
        dialled: Dialled,
        (following, cluster): (Following, Option<Cluster>),
        (owners, (inbox, reports)): (&OwnerIds, Inbox),
    ) -> Result<Self, Error> {
        let Dialled {
            dialers,
            connections,
            voice,
            why_mute,
        } = dialled;
        let round_trips = connections.iter().map(|connection| connection.round_trip);
        // The way to the farthest node of a cluster, and the best of several to one server.
        let round_trip = if cluster.is_some() {
            round_trips.max()
        } else {
            round_trips.min()
        };
        let least_claim_window =
            least_claim_window(settings.claim_window, round_trip.unwrap_or_default())?;
        let homes = dialers.iter().filter(|it| it.copies().is_none()).count();
        info!(
            server = settings.place,
            prefix = settings.options.prefix,
            links = connections.len(),
            "locks are kept on Redis"
        );
        let links = dialers.into_iter().zip(connections).enumerate();
        let links = links.map(|(link, (dialer, connection))| {
            let channel = channel(owners, link);
            let beside = dialer.copies().map(|copies| Beside {
                home: link - homes,
                copies,
            });
            let mut link = Link::new(dialer, connection, channel, failure::disconnected());
            link.beside = beside;
            link
        });
        let found = (following, cluster, links.collect());
        Ok(Self {
            homes,
            voice,
            why_mute,
            least_claim_window,
            ..Self::assemble(settings, found, owners, (inbox, reports))
        })
    }

    /// Makes a backend with these links, to a server that sends messages.
    pub(super) fn assemble(
        settings: &RedisSettings,
        (following, cluster, links): (Following, Option<Cluster>, Vec<Link>),
        owners: &OwnerIds,
        (inbox, reports): Inbox,
    ) -> Self {
        Self {
            owners: owners.clone(),
            following,
            names: Names::new(settings.options.prefix.clone()),
            homes: links.len(),
            links,
            cluster,
            voice: Voice::Messages,
            why_mute: None,
            restart_delay: None,
            // Longer would be for ever, and overflow.
            response_timeout: settings.response_timeout.min(timing::MAX_TTL),
            least_claim_window: Duration::ZERO,
            alarm: Box::pin(tokio::time::sleep(Duration::ZERO)),
            in_flight: HashMap::new(),
            done: VecDeque::new(),
            calls: FuturesUnordered::new(),
            confirming: FuturesUnordered::new(),
            sent: 0,
            inbox,
            reports,
        }
    }
}

pub(super) type Inbox = (UnboundedSender<Report>, UnboundedReceiver<Report>);

/// The channel of the handoffs that come by this link.
pub(super) fn channel(owners: &OwnerIds, link: usize) -> String {
    format!("{}{link}", owners.prefix())
}

/// The connections to all servers.
pub(super) struct Dialled {
    dialers: Vec<Arc<Dialer>>,
    connections: Vec<Connection>,
    pub(super) voice: Voice,
    why_mute: Option<String>,
}

/// Dials all at once, without messages if the server sends none. A failure names its link.
pub(super) async fn dial_as_possible(
    dialer: &Dialer,
    all: impl Fn(&Dialer) -> Vec<Arc<Dialer>>,
    owners: &OwnerIds,
    inbox: &UnboundedSender<Report>,
) -> Result<Dialled, (usize, Refusal)> {
    let mut dialer = dialer.clone();
    let mut first: Option<Mute> = None;
    loop {
        let dialers = all(&dialer);
        let (link, refusal) = match dial_all(&dialers, owners, inbox).await {
            Ok(connections) => {
                return Ok(Dialled {
                    dialers,
                    connections,
                    voice: dialer.voice(),
                    why_mute: first.map(|mute| mute.why),
                });
            }
            Err(failed) => failed,
        };
        match refusal {
            Refusal::Mute(mute) if dialer.voice() > mute.voice => {
                // Once more, if it may be chance.
                if mute.is_certain || first.is_some() {
                    dialer = dialer.with_voice(mute.voice);
                }
                first = Some(mute);
            }
            refusal => {
                let refusal = match first {
                    Some(mute) => mute.refusal.and_without(refusal),
                    None => refusal,
                };
                return Err((link, refusal));
            }
        }
    }
}

/// Dials all at once. A failure names its link.
async fn dial_all(
    dialers: &[Arc<Dialer>],
    owners: &OwnerIds,
    inbox: &UnboundedSender<Report>,
) -> Result<Vec<Connection>, (usize, Refusal)> {
    let mut dials = JoinSet::new();
    for (link, dialer) in dialers.iter().enumerate() {
        let dialling = Arc::clone(dialer).dial(link, 0, inbox.clone(), channel(owners, link));
        dials.spawn(async move { (link, dialling.await) });
    }
    let mut connections: Vec<(usize, Connection)> = Vec::with_capacity(dialers.len());
    while let Some(dialled) = dials.join_next().await {
        let (link, dialled) = dialled.expect("a dial neither panics nor is aborted");
        let connection = dialled.map_err(|refusal| (link, refusal))?;
        connections.push((link, connection));
    }
    connections.sort_unstable_by_key(|(link, _)| *link);
    Ok(connections
        .into_iter()
        .map(|(_, connection)| connection)
        .collect())
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
