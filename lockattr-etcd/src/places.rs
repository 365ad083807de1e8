//! What this process has in etcd, or may have.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lockattr::backend::{Granted, OwnerId, Time};

use crate::names::Folder;
use crate::rpc::KeyValue;
use crate::sessions::Class;

/// The tokens of two owners are so far apart: the later ones of a lease are counted in this process.
const TOKEN_BITS: u32 = 20;
/// How many tokens a lease may use before it is to be given back.
const ENOUGH: u64 = 1 << (TOKEN_BITS - 1);
/// Ends are looked for no more often than this.
const PAUSE: Duration = Duration::from_millis(20);
/// For so long at least a waiter is kept that is not asked for again: twice as long as a pool pauses.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The first token of what was created at this revision.
pub(crate) fn first_token(revision: i64) -> u64 {
    revision.unsigned_abs() << TOKEN_BITS
}

/// What is known of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// An acquire has no answer: it may have a place, now or later.
    InDoubt,
    Waits,
    Has,
}

/// An owner's place, first of which has the key.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) key: Arc<str>,
    pub(crate) folder: Folder,
    pub(crate) name: Vec<u8>,
    /// Host, process and function, for people.
    pub(crate) who: Arc<str>,
    /// Whether etcd still has since when it waits, and not since when it has the key.
    pub(crate) is_dated_as_waiter: bool,
    /// How long a lease lasts that is handed to it.
    pub(crate) claim: Duration,
    /// How many tokens come with a grant.
    pub(crate) share: u32,
    pub(crate) stage: Stage,
    /// Since which revision it is there; 0 if that is not known.
    pub(crate) revision: i64,
    /// What it is bound to. No lease, 0, from the question on that binds it to another one: the answer may
    /// be lost, and the question be executed late.
    pub(crate) class: Class,
    pub(crate) lease: i64,
    /// At which revision it was bound to that.
    pub(crate) bound_at: i64,
    /// When its lease ends unless it is renewed.
    pub(crate) ends: Time,
    /// How many of its tokens were given out.
    pub(crate) tokens: u64,
}

impl Place {
    /// It was bound to this lease at that revision. Returns whether that is newer than what is known.
    pub(crate) fn bound(&mut self, lease: i64, revision: i64) -> bool {
        let is_newer = revision > self.bound_at;
        if is_newer {
            self.lease = lease;
            self.bound_at = revision;
        }
        is_newer
    }

    /// Whether this is the place, and not a later one of its name. Notes what it is bound to.
    pub(crate) fn is_seen(&mut self, own: &KeyValue) -> bool {
        let is_same = own.create_revision == self.revision;
        if is_same {
            self.bound(own.lease, own.mod_revision);
        }
        is_same
    }

    /// The tokens of the grant.
    pub(crate) fn granted(&mut self, contended: bool) -> Granted {
        let first = first_token(self.revision);
        let count = u64::from(self.share.max(1));
        self.tokens = self.tokens.max(count);
        Granted::new(first..first + count, contended)
    }

    /// When a waiter is forgotten unless the pool asks again.
    pub(crate) fn forgotten_at(&self, ttl: Duration) -> Time {
        let asks_again = self.claim.saturating_mul(3);
        Time::now() + FORGOTTEN_AFTER.max(asks_again).max(ttl)
    }

    /// What a waiter is bound to.
    pub(crate) fn class_of_waiter(&self) -> Class {
        Class::of_claims(self.claim)
    }

    /// When it is to be looked at: what waiters are bound to is kept alive.
    fn look_at(&self) -> Time {
        if self.stage == Stage::Waits {
            let soon = Time::now() + self.class_of_waiter().reserve() / 2;
            return self.ends.min(soon);
        }
        self.ends
    }

    /// More tokens, if there are any left.
    pub(crate) fn reserve(&mut self, wanted: u32, contended: bool) -> Option<Granted> {
        let left = (1_u64 << TOKEN_BITS).saturating_sub(self.tokens);
        let count = u64::from(wanted).min(left);
        if count == 0 {
            return None;
        }
        let start = first_token(self.revision) + self.tokens;
        self.tokens += count;
        // Contended or not: the next lease has tokens again.
        let is_used_up = self.tokens > ENOUGH;
        Some(Granted::new(start..start + count, contended || is_used_up))
    }
}

/// What is to be done for the places.
#[derive(Default)]
pub(crate) struct Seen {
    /// Those whose leases have ended.
    pub(crate) ended: Vec<(OwnerId, Place)>,
    /// What waiters are bound to.
    pub(crate) waited_by: HashSet<Class>,
}

#[derive(Default)]
pub(crate) struct Places {
    all: RefCell<HashMap<OwnerId, Place>>,
    /// The attempts that are under way, by owner.
    busy: RefCell<HashMap<OwnerId, usize>>,
    /// Nothing ends before this, and nothing has to be kept alive.
    look_at: Cell<Option<Time>>,
}

impl Places {
    pub(crate) fn get(&self, owner: &OwnerId) -> Option<Place> {
        self.all.borrow().get(owner).cloned()
    }

    pub(crate) fn note(&self, owner: &OwnerId, place: Place) {
        self.watch_for(place.look_at());
        self.all.borrow_mut().insert(owner.clone(), place);
    }

    /// Changes a place that is there.
    pub(crate) fn change<T>(
        &self,
        owner: &OwnerId,
        change: impl FnOnce(&mut Place) -> T,
    ) -> Option<T> {
        let mut all = self.all.borrow_mut();
        let place = all.get_mut(owner)?;
        let result = change(place);
        let look_at = place.look_at();
        drop(all);
        self.watch_for(look_at);
        Some(result)
    }

    /// Notes a place that etcd has told of, unless an answer has come already that tells as much or more.
    pub(crate) fn note_found(&self, owner: &OwnerId, place: Place) -> bool {
        let known = self.all.borrow().get(owner).map(|known| known.revision);
        let is_new = known.is_none_or(|known| known < place.revision);
        if is_new {
            self.note(owner, place);
        }
        is_new
    }

    pub(crate) fn remove(&self, owner: &OwnerId) {
        self.all.borrow_mut().remove(owner);
    }

    /// Removes a place that this attempt has noted for the case that it gets one. If another attempt of the owner has got
    /// one meanwhile, that stays.
    pub(crate) fn remove_doubted(&self, owner: &OwnerId) {
        let mut all = self.all.borrow_mut();
        if all
            .get(owner)
            .is_some_and(|it| it.stage == Stage::InDoubt && it.revision == 0)
        {
            all.remove(owner);
        }
    }

    pub(crate) fn begin(&self, owner: &OwnerId) {
        *self.busy.borrow_mut().entry(owner.clone()).or_default() += 1;
    }

    pub(crate) fn is_busy(&self, owner: &OwnerId) -> bool {
        self.busy.borrow().contains_key(owner)
    }

    pub(crate) fn end(&self, owner: &OwnerId) {
        let mut busy = self.busy.borrow_mut();
        if let Some(count) = busy.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                busy.remove(owner);
            }
        }
    }

    fn watch_for(&self, time: Time) {
        let earliest = self.look_at.get().map_or(time, |at| at.min(time));
        self.look_at.set(Some(earliest));
    }

    /// When to look at the places.
    pub(crate) fn alarm(&self) -> Option<Time> {
        self.look_at.get()
    }

    /// Looks at all places, if it is time to. One that has ended is told again after a while, until it
    /// is removed.
    pub(crate) fn look(&self, now: Time, again_after: Duration) -> Seen {
        let mut seen = Seen::default();
        if self.look_at.get().is_none_or(|at| at > now) {
            return seen;
        }
        let busy = self.busy.borrow();
        let mut next: Option<Time> = None;
        for (owner, place) in self.all.borrow_mut().iter_mut() {
            if place.ends <= now && !busy.contains_key(owner) {
                seen.ended.push((owner.clone(), place.clone()));
                place.ends = now + again_after;
            } else if place.stage == Stage::Waits {
                seen.waited_by.insert(place.class_of_waiter());
            }
            let look_at = place.look_at();
            next = Some(next.map_or(look_at, |next| next.min(look_at)));
        }
        self.look_at.set(next.map(|next| next.max(now + PAUSE)));
        seen
    }
}

#[cfg(test)]
mod tests {
    use lockattr::backend::OwnerIds;

    use super::*;
    use crate::backend::EtcdBackend;
    use crate::names::Names;

    /// One that waits, and is there since revision 7.
    fn place() -> Place {
        let names = Names::new("p");
        Place {
            key: "a".into(),
            folder: names.folder("a"),
            name: Vec::new(),
            who: "".into(),
            is_dated_as_waiter: false,
            claim: Duration::from_secs(1),
            share: 5,
            stage: Stage::Waits,
            revision: 7,
            class: Class::of(Duration::from_secs(1)),
            lease: 1,
            bound_at: 7,
            ends: Time::now(),
            tokens: 0,
        }
    }

    /// Only pools make owners.
    fn owner() -> OwnerId {
        let (sender, owners) = std::sync::mpsc::channel();
        let connect = move |owners: OwnerIds| {
            sender.send(owners).unwrap();
            async { Err::<EtcdBackend, _>(crate::failure::silent()) }
        };
        let building = lockattr::LockPool::builder()
            .backend("none", connect)
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(building).unwrap_err();
        let owners = owners.recv().unwrap();
        owners.parse(&format!("{}-1-0", owners.prefix())).unwrap()
    }

    #[test]
    fn an_answer_that_is_late_changes_nothing() {
        let (places, owner) = (Places::default(), owner());
        assert!(places.note_found(&owner, place()));
        let granted = places.change(&owner, |place| {
            place.stage = Stage::Has;
            place.granted(false)
        });
        let seen = KeyValue {
            create_revision: 7,
            mod_revision: 9,
            lease: 2,
            ..KeyValue::default()
        };
        assert_eq!(
            places.change(&owner, |place| place.is_seen(&seen)),
            Some(true)
        );
        assert!(!places.note_found(&owner, place()), "it is known");
        let earlier = Place {
            revision: 6,
            ..place()
        };
        assert!(!places.note_found(&owner, earlier), "it is over");
        let known = places.get(&owner).unwrap();
        assert_eq!((known.stage, known.lease), (Stage::Has, 2));
        let more = places.change(&owner, |place| {
            assert!(!place.bound(1, 8), "it was bound to another since");
            place.reserve(5, false)
        });
        assert_eq!(
            more.flatten().unwrap().tokens.start,
            granted.unwrap().tokens.end
        );
        let later = Place {
            revision: 12,
            ..place()
        };
        assert!(places.note_found(&owner, later));
        assert_eq!(
            places.change(&owner, |place| place.is_seen(&seen)),
            Some(false)
        );
    }

    #[test]
    fn a_lease_is_to_be_given_back_before_its_tokens_run_out() {
        let mut place = place();
        let first = place.granted(false);
        assert_eq!(first.tokens, 7 << 20..(7 << 20) + 5);
        assert_eq!(place.granted(false), first, "asked again");
        let mut past = first.tokens.end;
        let mut is_contended = false;
        while let Some(more) = place.reserve(100_000, false) {
            assert_eq!(more.tokens.start, past);
            past = more.tokens.end;
            assert!(is_contended <= more.contended);
            is_contended = more.contended;
        }
        assert!(is_contended);
        assert_eq!(past, 8 << 20, "the next owner's begin here");
    }
}
