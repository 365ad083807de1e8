//! What a test needs of a server, whatever it speaks.

use std::fmt;
use std::time::Duration;

use crate::Host;
use crate::campaign::Disturbance;

/// A server that has locks or copies of locks, and ends with this value.
pub trait Server: fmt::Debug + Send {
    /// Returns its place on the network.
    fn host(&self) -> &Host;

    /// Returns whether it answers.
    fn is_up(&self) -> bool;

    /// Stops the process (SIGSTOP).
    fn pause(&self);

    /// Lets the process go on.
    fn resume(&self);

    /// `kill -9`.
    fn kill(&mut self);

    /// Starts it again with the data on its disk, and waits until it answers.
    fn restart(&mut self);

    /// Starts it again without any data.
    fn restart_empty(&mut self) {
        unreachable!("nothing makes it forget: {self:?}");
    }

    /// Does to it, for a while, what only a server of its kind suffers.
    fn suffer(&self, what: Disturbance, _a_while: Duration) {
        unreachable!("{what:?} is not done to {self:?}");
    }

    /// Returns all that is on it.
    fn names(&self) -> Vec<Name>;

    /// Returns whether what is there under this name ends by itself. `None` if nothing is there.
    fn ends(&self, name: &Name) -> Option<bool>;
}

/// Something that pools have left on a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// What it is for.
    pub purpose: Purpose,
    /// What the server calls it.
    pub text: String,
}

/// What something on a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// An owner has a key.
    Lock,
    /// An owner waits for a key.
    Queue,
    /// An owner id must not be granted anything any more.
    Tombstone,
    /// Fencing tokens go on from here.
    Fence,
}

/// The methods of [`Server`] that each server has as its own, under the same names.
macro_rules! own_methods {
    () => {
        fn host(&self) -> &$crate::Host {
            Self::host(self)
        }

        fn is_up(&self) -> bool {
            Self::is_up(self)
        }

        fn pause(&self) {
            Self::pause(self);
        }

        fn resume(&self) {
            Self::resume(self);
        }

        fn kill(&mut self) {
            Self::kill(self);
        }

        fn restart(&mut self) {
            Self::restart(self);
        }
    };
}
pub(super) use own_methods;
