//! A quorum of Redis servers: `redis+quorum://host1,host2,host3`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;
use tracing::{info, warn};

use super::connect::{self, dial_as_possible};
use super::dial::Dialer;
use super::link::Link;
use super::url::Target;
use super::voice::Voice;
use super::{RedisBackend, RedisSettings, failure, hosts};
use crate::Error;
use crate::backend::quorum::{Member, Quorum, majority, no_majority};
use crate::backend::{BackendError, OwnerIds};
use crate::clock::Time;

/// With fewer there is no majority without all of them.
const LEAST: usize = 3;
/// Once a majority is there, the others have so long at least.
const LAST_CALL: Duration = Duration::from_millis(250);

impl Member for RedisBackend {
    fn clock(&self) -> Option<(Time, u64)> {
        self.links[0].clocks
    }
}

/// Connects to a majority of the servers at least; to the others it goes on dialling.
///
/// # Errors
///
/// [`Error::Config`] for a wrong URL or a server that cannot keep locks, [`Error::Connect`] naming each server
/// when there is no majority within the connect timeout.
pub(crate) async fn connect(settings: RedisSettings) -> Result<Quorum<RedisBackend>, Error> {
    let targets = members(&settings.url)?;
    check(&settings)?;
    let ids =
        OwnerIds::random().map_err(|error| Error::system("random bits for owner ids", &error))?;
    let majority = majority(targets.len());
    let names: Vec<String> = targets.iter().map(|it| it.address.to_string()).collect();
    let mut dialers = Vec::with_capacity(targets.len());
    for target in targets {
        let dialer = Dialer::to(&settings, target)?.after(settings.options.restart_delay);
        dialers.push(Arc::new(dialer));
    }
    let one = async |member: usize| {
        let connecting = RedisBackend::member(&settings, &names[member], &dialers[member], &ids);
        (member, connecting.await)
    };
    let mut connecting: FuturesUnordered<_> = (0..dialers.len()).map(one).collect();
    let mut connected: Vec<Option<RedisBackend>> = dialers.iter().map(|_| None).collect();
    let mut failed: Vec<Option<BackendError>> = dialers.iter().map(|_| None).collect();
    let began = Instant::now();
    let mut deadline = began + settings.connect_timeout;
    while let Ok(Some((member, result))) =
        tokio::time::timeout_at(deadline, connecting.next()).await
    {
        match result {
            Ok(backend) => connected[member] = Some(backend),
            Err(Error::Connect { source, .. }) => failed[member] = Some(source),
            Err(error) => return Err(error),
        }
        if connected.iter().flatten().count() == majority {
            deadline = deadline.min(Instant::now() + LAST_CALL.max(began.elapsed() * 4));
        }
    }
    drop(connecting);
    let late = || failure::no_connection(settings.connect_timeout);
    let missing = |member: usize| failed[member].clone().unwrap_or_else(late);
    if connected.iter().flatten().count() < majority {
        let absent = (0..names.len()).filter(|member| connected[*member].is_none());
        let said: Vec<_> = absent.map(|member| (member, missing(member))).collect();
        let said = said
            .iter()
            .map(|(member, error)| (names[*member].as_str(), Some(error)));
        return Err(Error::Connect {
            place: settings.place.as_str().into(),
            source: no_majority(names.len(), said),
        });
    }
    let mut all = Vec::with_capacity(names.len());
    for (member, (name, backend)) in names.into_iter().zip(connected).enumerate() {
        let backend = backend.unwrap_or_else(|| {
            let error = missing(member);
            warn!(server = name, %error, "a server of the quorum is missing; trying again");
            RedisBackend::absent(&settings, &dialers[member], &ids, error)
        });
        all.push((name, backend));
    }
    info!(
        server = settings.place,
        prefix = settings.options.prefix,
        servers = all.len(),
        "locks are kept on a quorum of Redis servers"
    );
    Ok(Quorum::new(all, settings.options.member_timeout, ids))
}

/// The servers in an order that is the same in every process, however its URL names them.
fn members(url: &str) -> Result<Vec<Target>, Error> {
    let mut targets = hosts::several(url, "quorum")?.unwrap_or_default();
    targets.sort_by(|one, other| one.address.cmp(&other.address));
    if let Some(twins) = targets
        .windows(2)
        .find(|pair| pair[0].address == pair[1].address)
    {
        let reason = format!(
            "it names {} twice, which would have two votes",
            twins[0].address
        );
        return Err(Error::config("url", reason));
    }
    if targets.len() < LEAST {
        let reason = format!(
            "a quorum of {} has no majority without all of them; name {LEAST} independent masters or \
             more, or write redis:// for one",
            targets.len()
        );
        return Err(Error::config("url", reason));
    }
    Ok(targets)
}

/// # Errors
///
/// [`Error::Config`] for what a quorum does not have.
fn check(settings: &RedisSettings) -> Result<(), Error> {
    let options = &settings.options;
    if options.confirm_replicas > 0 || options.confirm_fsync {
        let setting = if options.confirm_fsync {
            "confirm_fsync"
        } else {
            "confirm_replicas"
        };
        let reason =
            "a quorum has no confirmation by replicas or disks: its majority is the confirmation";
        return Err(Error::config(setting, reason));
    }
    Ok(())
}

impl RedisBackend {
    /// # Errors
    ///
    /// [`Error::Config`] for a server that can be no member, [`Error::Connect`] when it is not there.
    async fn member(
        settings: &RedisSettings,
        name: &str,
        dialer: &Arc<Dialer>,
        ids: &OwnerIds,
    ) -> Result<Self, Error> {
        let inbox = unbounded_channel();
        let following = dialer.follow(&inbox.0);
        let one = |dialer: &Dialer| vec![Arc::new(dialer.clone())];
        let dialled = dial_as_possible(dialer, one, ids, &inbox.0).await;
        let dialled = dialled.map_err(|(_, refusal)| said_by(name, refusal.at_startup(name)))?;
        if dialled.voice != Voice::Messages {
            let reason = "it sends no messages (HELLO 3 and SUBSCRIBE), which a quorum needs";
            return Err(said_by(name, Error::config("server", reason)));
        }
        let found = (following, None);
        let new = Self::start(settings, dialled, found, (ids, inbox))?;
        Ok(Self {
            restart_delay: Some(settings.options.restart_delay),
            ..new
        })
    }

    /// A server that is not there yet.
    fn absent(
        settings: &RedisSettings,
        dialer: &Arc<Dialer>,
        ids: &OwnerIds,
        error: BackendError,
    ) -> Self {
        let inbox = unbounded_channel();
        let following = dialer.follow(&inbox.0);
        let mut link = Link::undialled(Arc::clone(dialer), connect::channel(ids, 0), error);
        // So that nothing waits for the dial.
        link.failures = 1;
        let mut new = Self::assemble(settings, (following, None, vec![link]), ids, inbox);
        new.restart_delay = Some(settings.options.restart_delay);
        new.redial(0);
        new
    }
}

/// Says which server it is about.
fn said_by(name: &str, error: Error) -> Error {
    match error {
        Error::Config { setting, reason } => Error::config(setting, format!("{name}: {reason}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_stand_in_one_order() {
        let names = |url: &str| -> Vec<String> {
            let all = members(url).unwrap();
            all.iter().map(|it| it.address.to_string()).collect()
        };
        let sorted = ["a:1", "b:6379", "c:6379"];
        assert_eq!(names("redis+quorum://c,a:1,b"), sorted);
        assert_eq!(names("VALKEY+QUORUM://u:p@b,c,a:1/2"), sorted);
    }

    #[test]
    fn what_is_no_quorum_is_told() {
        for (url, said) in [
            ("redis+quorum://a,b", "a quorum of 2"),
            ("redis+quorum://a,b,a:6379", "a:6379 twice"),
            ("redis+quorum://", "no host"),
            ("redis+quorum://a,b,c:x", "port"),
        ] {
            let error = members(url).err().unwrap().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
