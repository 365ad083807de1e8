//! Who has a key, by the word of a majority; and who waits for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::majority::{majority, no_majority};
use crate::backend::{BackendError, Inspected, Inspection, Inspector};
use crate::holder::Holder;
use crate::key::Key;

type Answer = Result<Inspected, BackendError>;

/// `None` if one of the servers has no answers.
pub(super) fn inspector(
    names: Vec<String>,
    members: impl Iterator<Item = Option<Inspector>>,
) -> Option<Inspector> {
    let members = members.collect::<Option<_>>()?;
    let servers = Arc::new(Servers { names, members });
    Some(Box::new(move |inspection| {
        let servers = Arc::clone(&servers);
        Box::pin(async move {
            match inspection {
                Inspection::Page { prefix, after } => {
                    servers.page(prefix, Place::read(after.as_deref())).await
                }
                Inspection::Queue { .. } => {
                    let answers = servers.ask(&inspection).await;
                    servers.longest_queue(&answers)
                }
                other => {
                    let answers = servers.ask(&other).await;
                    servers.agree(&answers)
                }
            }
        })
    }))
}

struct Servers {
    names: Vec<String>,
    members: Vec<Inspector>,
}

/// The servers are listed one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    member: usize,
    /// The servers that have failed, a bit for each. Others have what they would have listed.
    failed: u64,
    /// Where the server goes on.
    after: Option<Arc<str>>,
}

impl Place {
    fn read(after: Option<&str>) -> Self {
        let read = |text: &str| {
            let mut parts = text.splitn(3, ' ');
            let (member, failed) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let after = parts.next().map(Arc::from);
            Some(Self {
                member,
                failed,
                after,
            })
        };
        after.and_then(read).unwrap_or(Self {
            member: 0,
            failed: 0,
            after: None,
        })
    }

    fn write(&self) -> Arc<str> {
        let Self { member, failed, .. } = self;
        match &self.after {
            Some(after) => format!("{member} {failed} {after}").into(),
            None => format!("{member} {failed}").into(),
        }
    }

    fn has_failed(&self, member: usize) -> bool {
        self.failed & bit(member) != 0
    }
}

fn bit(member: usize) -> u64 {
    1_u64.wrapping_shl(u32::try_from(member).unwrap_or(u32::MAX))
}

impl Servers {
    async fn ask(&self, question: &Inspection) -> Vec<Answer> {
        join_all(self.members.iter().map(|ask| ask(question.clone()))).await
    }

    /// What a majority has is on one of the servers that are listed. A key is left to the first of them that
    /// names it.
    async fn page(&self, prefix: Arc<str>, place: Place) -> Answer {
        let Some(ask) = self.members.get(place.member) else {
            return Ok(Inspected::default());
        };
        let after = place.after.clone();
        let listed = ask(Inspection::Page { prefix, after }).await;
        let (listed, mut next) = match listed {
            Ok(Inspected { holders, next, .. }) => (
                holders,
                Place {
                    after: next,
                    ..place
                },
            ),
            Err(error) => {
                let failed = place.failed | bit(place.member);
                let spare = self.members.len() - majority(self.members.len());
                if usize::try_from(failed.count_ones()).is_ok_and(|failed| failed > spare) {
                    return Err(error);
                }
                let after = None;
                (
                    Vec::new(),
                    Place {
                        failed,
                        after,
                        ..place
                    },
                )
            }
        };
        let mut holders = Vec::new();
        let mut keys: Vec<Key> = listed
            .iter()
            .filter_map(|it| Key::new(&*it.key).ok())
            .collect();
        keys.dedup();
        if !keys.is_empty() {
            let answers = self.ask(&Inspection::Keys(keys)).await;
            let before = answers.iter().take(next.member).enumerate();
            let before = before.filter(|(member, _)| !next.has_failed(*member));
            let before = before.filter_map(|(_, answer)| answer.as_ref().ok());
            let told: HashSet<&str> = before
                .flat_map(|it| &it.holders)
                .map(|it| &*it.key)
                .collect();
            holders = self.agree(&answers)?.holders;
            holders.retain(|holder| !told.contains(&*holder.key));
        }
        if next.after.is_none() {
            next.member += 1;
        }
        let has_more = next.member < self.members.len();
        Ok(Inspected::new(holders, has_more.then(|| next.write())))
    }

    /// One server keeps the queue of a key. Others can have what was waited for while that one was away.
    ///
    /// # Errors
    ///
    /// When no majority has answered.
    fn longest_queue(&self, answers: &[Answer]) -> Answer {
        let queues = self
            .of_majority(answers)?
            .filter_map(|it| it.queue.as_ref());
        // Of several that are as long, the last.
        let longest = queues.max_by_key(|queue| queue.len());
        Ok(longest
            .cloned()
            .map_or_else(Inspected::default, Inspected::of_queue))
    }

    /// # Errors
    ///
    /// When no majority has answered.
    fn of_majority<'a>(
        &self,
        answers: &'a [Answer],
    ) -> Result<impl Iterator<Item = &'a Inspected> + use<'a>, BackendError> {
        let answered = answers.iter().flatten();
        if answered.clone().count() < majority(self.members.len()) {
            let said = self.names.iter().zip(answers);
            let said =
                said.filter_map(|(name, it)| Some((name.as_str(), Some(it.as_ref().err()?))));
            return Err(no_majority(self.names.len(), said));
        }
        Ok(answered)
    }

    /// # Errors
    ///
    /// When no majority has answered.
    fn agree(&self, answers: &[Answer]) -> Answer {
        let majority = majority(self.members.len());
        let answered = self.of_majority(answers)?;
        let mut votes: BTreeMap<(&str, u64), Vec<&Holder>> = BTreeMap::new();
        let mut waiters: BTreeMap<&str, usize> = BTreeMap::new();
        for holder in answered.flat_map(|it| &it.holders) {
            votes
                .entry((&holder.key, holder.pool))
                .or_default()
                .push(holder);
            let most = waiters.entry(&holder.key).or_default();
            *most = holder.waiters.max(*most);
        }
        let named = votes.into_values().filter(|votes| votes.len() >= majority);
        let holders = named.map(|votes| Holder {
            waiters: waiters[&*votes[0].key],
            ..merged(votes, majority)
        });
        Ok(Inspected::new(holders.collect(), None))
    }
}

/// Returns what the servers know together of the holder that all of these name.
fn merged(mut votes: Vec<&Holder>, majority: usize) -> Holder {
    votes.sort_by_key(|vote| std::cmp::Reverse(vote.ttl_left));
    Holder {
        // A majority has it for so long.
        ttl_left: votes[majority - 1].ttl_left,
        since: votes.iter().filter_map(|vote| vote.since).min(),
        // Where they differ, the grant has a greater one, which was reserved later and is written nowhere.
        fencing_token: votes[0].fencing_token.filter(|_| {
            votes
                .iter()
                .all(|it| it.fencing_token == votes[0].fencing_token)
        }),
        has_finished: votes.iter().any(|vote| vote.has_finished),
        ..votes[0].clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::{BackendErrorKind, Inspecting};
    use crate::mode::Mode;
    use crate::queue::{Queue, Waiter};

    /// What one server has: keys, and by whom.
    type Stored = &'static [(&'static str, &'static str)];

    fn holder(key: &str, pool: &str, server: u64) -> Holder {
        Holder {
            fencing_token: Some(70 + server),
            waiters: usize::from(server == 1),
            ..Holder::new(key, pool, Duration::from_secs(9 - server)).of_pool(pool)
        }
    }

    /// A server that lists one key a page; without anything stored it does not answer.
    fn server(number: u64, stored: Option<Stored>) -> Inspector {
        Box::new(move |inspection| -> Inspecting {
            let Some(stored) = stored else {
                let error = BackendError::new(BackendErrorKind::Timeout, "no answer");
                return Box::pin(std::future::ready(Err(error)));
            };
            let has = |key: &str| {
                let of_key = stored.iter().filter(move |(stored, _)| *stored == key);
                let holders = of_key.map(|(key, pool)| holder(key, pool, number));
                holders.collect::<Vec<_>>()
            };
            let answer = match inspection {
                Inspection::Page { after, .. } => {
                    let place: usize = after.map_or(0, |at| at.parse().unwrap());
                    let (key, _) = stored[place];
                    let next = (place + 1 < stored.len()).then(|| (place + 1).to_string().into());
                    Inspected::new(has(key), next)
                }
                Inspection::Keys(keys) => Inspected::new(
                    keys.iter().flat_map(|key| has(key.as_str())).collect(),
                    None,
                ),
                Inspection::Queue { key, .. } => {
                    let waiters = has(key.as_str()).into_iter();
                    let waiters = waiters.map(|it| Waiter::new(&it.who, Mode::Exclusive));
                    Inspected::of_queue(Queue::new(waiters.collect(), 0))
                }
                Inspection::ForceRelease(key) => Inspected::new(has(key.as_str()), None),
            };
            Box::pin(std::future::ready(Ok(answer)))
        })
    }

    fn quorum(stored: [Option<Stored>; 3]) -> Inspector {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let members = (0..).zip(stored);
        let members = members.map(|(number, stored)| Some(server(number, stored)));
        inspector(names, members).unwrap()
    }

    async fn list(ask: &Inspector) -> Result<Vec<String>, BackendError> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let prefix = "".into();
            let page = ask(Inspection::Page { prefix, after }).await?;
            keys.extend(page.holders.iter().map(|it| it.key.to_string()));
            after = page.next;
            if after.is_none() {
                keys.sort_unstable();
                return Ok(keys);
            }
        }
    }

    #[tokio::test]
    async fn a_holder_is_who_a_majority_names() {
        let ask = quorum([
            Some(&[("k", "one"), ("split", "one")]),
            Some(&[("k", "other"), ("split", "other")]),
            Some(&[("k", "one")]),
        ]);
        for question in [
            Inspection::Keys(vec![Key::new("k").unwrap()]),
            Inspection::ForceRelease(Key::new("k").unwrap()),
        ] {
            let found = ask(question).await.unwrap().holders;
            let [found] = &found[..] else {
                panic!("{found:?}");
            };
            assert_eq!(&*found.who, "one");
            assert_eq!(found.fencing_token, None, "the servers differ");
            assert_eq!(found.ttl_left, Duration::from_secs(7));
            assert_eq!(found.waiters, 1, "the queue is on one server");
        }
        let split = Inspection::Keys(vec![Key::new("split").unwrap()]);
        assert_eq!(ask(split).await.unwrap().holders, []);
    }

    #[tokio::test]
    async fn the_longest_queue_is_told() {
        let ask = quorum([
            Some(&[("other", "x")]),
            Some(&[("k", "one"), ("k", "two")]),
            Some(&[("k", "late")]),
        ]);
        let queue = |key: &str| Inspection::Queue {
            key: Key::new(key).unwrap(),
            limit: 9,
        };
        let told = ask(queue("k")).await.unwrap().queue.unwrap();
        let waiters: Vec<&str> = told.waiters.iter().map(|it| &*it.who).collect();
        assert_eq!(waiters, ["one", "two"]);
        assert!(ask(queue("free")).await.unwrap().queue.unwrap().is_empty());
        let two_away = quorum([None, Some(&[("k", "one")]), None]);
        let error = two_away(queue("k")).await.unwrap_err().to_string();
        assert!(error.contains("no majority"), "{error}");
    }

    #[tokio::test]
    async fn each_key_of_a_majority_is_listed_once() {
        const AB: (&str, &str) = ("ab", "x");
        const BC: (&str, &str) = ("bc", "x");
        const ALL: (&str, &str) = ("all", "x");
        let whole = quorum([
            Some(&[ALL, AB]),
            Some(&[AB, BC, ALL]),
            Some(&[ALL, BC, ("c", "x")]),
        ]);
        assert_eq!(list(&whole).await.unwrap(), ["ab", "all", "bc"]);
        let one_away = quorum([None, Some(&[BC, ALL]), Some(&[ALL, BC])]);
        assert_eq!(list(&one_away).await.unwrap(), ["all", "bc"]);
        let two_away = quorum([None, Some(&[BC]), None]);
        assert!(list(&two_away).await.is_err());
        let key = Inspection::Keys(vec![Key::new("bc").unwrap()]);
        let error = two_away(key).await.unwrap_err().to_string();
        assert!(
            error.contains("no majority") && error.contains("c: no answer"),
            "{error}"
        );
    }
}
