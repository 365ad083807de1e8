//! What the sentinels said of the master, and which word counts.

use std::fmt;

use super::super::hello::Refusal;
use crate::backend::{BackendError, BackendErrorKind};

/// Where the master is, in the words of one sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opinion {
    /// The number of the failover that made it the master. A sentinel that has missed a failover has a
    /// smaller one.
    pub(super) epoch: u64,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The last word of each sentinel.
#[derive(Debug)]
pub(super) struct Council {
    heard: Vec<Heard>,
    /// The word that counts.
    known: Option<Opinion>,
}

#[derive(Debug)]
struct Heard {
    /// The number of the question that was answered.
    question: u64,
    said: Result<Opinion, Refusal>,
}

impl Council {
    pub(super) fn new(members: usize) -> Self {
        let nothing = || {
            let error = BackendError::new(BackendErrorKind::Timeout, "it has not answered yet");
            Heard {
                question: 0,
                said: Err(error.into()),
            }
        };
        Self {
            heard: (0..members).map(|_| nothing()).collect(),
            known: None,
        }
    }

    /// The greatest epoch counts, also when the sentinels that told it are gone. A smaller one counts only when
    /// most of the sentinels are there and none of them tells a greater one: then they were set up
    /// anew.
    pub(super) fn hear(&mut self, member: usize, question: u64, said: Result<Opinion, Refusal>) {
        self.heard[member] = Heard { question, said };
        let Some(newest) = self.opinions().map(|opinion| opinion.epoch).max() else {
            return;
        };
        if let Some(known) = &self.known {
            let is_old = newest < known.epoch && !self.is_majority(self.opinions().count());
            // Of two addresses in one epoch the present one is kept.
            if is_old
                || self
                    .opinions()
                    .any(|opinion| opinion == known && opinion.epoch == newest)
            {
                return;
            }
        }
        let newest = self.opinions().find(|opinion| opinion.epoch == newest);
        self.known = newest.cloned();
    }

    pub(super) fn known(&self) -> Option<&Opinion> {
        self.known.as_ref()
    }

    fn opinions(&self) -> impl Iterator<Item = &Opinion> {
        self.heard
            .iter()
            .filter_map(|heard| heard.said.as_ref().ok())
    }

    fn is_majority(&self, members: usize) -> bool {
        members > self.heard.len() / 2
    }

    /// How many sentinels have answered this question, or a later one, with an opinion.
    fn answers(&self, question: u64) -> usize {
        let answers = |heard: &&Heard| heard.question >= question && heard.said.is_ok();
        self.heard.iter().filter(answers).count()
    }

    /// Whether a sentinel has said to this question where the master is.
    pub(super) fn has_answered(&self, question: u64) -> bool {
        self.answers(question) > 0
    }

    /// Whether what was said to this question is enough. A majority is: it shares a member with the
    /// majority that agreed on the last failover.
    pub(super) fn is_settled(&self, question: u64) -> bool {
        self.is_majority(self.answers(question)) || self.is_over(question)
    }

    /// Whether nothing more will be said to this question.
    pub(super) fn is_over(&self, question: u64) -> bool {
        self.heard.iter().all(|heard| heard.question >= question)
    }

    /// Says why none of the sentinels, which have these names, tells where the master is.
    pub(super) fn refusal<N: fmt::Display>(&self, names: impl Iterator<Item = N>) -> Refusal {
        let refusals = || {
            self.heard
                .iter()
                .filter_map(|heard| heard.said.as_ref().err())
        };
        let said = names.zip(&self.heard).filter_map(|(name, heard)| {
            let error = BackendError::from(heard.said.clone().err()?);
            Some(format!("{name}: {error}"))
        });
        let said = said.collect::<Vec<_>>().join("; ");
        let reason = format!("no sentinel says where the master is: {said}");
        if refusals().all(|refusal| matches!(refusal, Refusal::Unfit { .. })) {
            return Refusal::Unfit {
                setting: "url",
                reason,
            };
        }
        let mut kinds = refusals().map(|refusal| BackendError::from(refusal.clone()).kind());
        let first = kinds.next().unwrap_or(BackendErrorKind::Unreachable);
        let kind = if kinds.all(|kind| kind == first) {
            first
        } else {
            BackendErrorKind::Unreachable
        };
        BackendError::new(kind, reason).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(epoch: u64, port: u16) -> Opinion {
        Opinion {
            epoch,
            host: "h".to_owned(),
            port,
        }
    }

    fn failed(kind: BackendErrorKind, text: &str) -> Result<Opinion, Refusal> {
        Err(BackendError::new(kind, text).into())
    }

    fn silent() -> Result<Opinion, Refusal> {
        failed(BackendErrorKind::Timeout, "silent")
    }

    impl Council {
        /// The port of the master after these words, one of each member.
        fn after<const N: usize>(&mut self, words: [Result<Opinion, Refusal>; N]) -> Option<u16> {
            for (member, said) in words.into_iter().enumerate() {
                self.hear(member, 1, said);
            }
            self.known().map(|known| known.port)
        }
    }

    #[test]
    fn the_newest_word_counts_in_any_order() {
        let (old, new) = (|| Ok(opinion(1, 1)), || Ok(opinion(2, 2)));
        assert_eq!(Council::new(3).after([old(), new(), old()]), Some(2));
        assert_eq!(Council::new(3).after([new(), old(), silent()]), Some(2));
        assert_eq!(Council::new(3).after([silent(), silent(), old()]), Some(1));
        assert_eq!(Council::new(2).after([silent(), silent()]), None);
    }

    /// One that has missed the failover is the only one left.
    #[test]
    fn what_is_known_is_not_forgotten_with_the_sentinels_that_told_it() {
        let mut council = Council::new(3);
        assert_eq!(
            council.after([Ok(opinion(2, 2)), Ok(opinion(2, 2)), Ok(opinion(1, 1))]),
            Some(2)
        );
        assert_eq!(
            council.after([silent(), silent(), Ok(opinion(1, 1))]),
            Some(2)
        );
        assert_eq!(council.after([silent(), silent(), silent()]), Some(2));
    }

    /// Set up anew, sentinels begin to count from zero.
    #[test]
    fn a_majority_may_begin_anew() {
        let mut council = Council::new(3);
        council.after([Ok(opinion(7, 2)), Ok(opinion(7, 2)), Ok(opinion(7, 2))]);
        let anew = || Ok(opinion(0, 3));
        assert_eq!(council.after([anew(), Ok(opinion(7, 2)), anew()]), Some(2));
        assert_eq!(council.after([anew(), anew(), silent()]), Some(3));
        let mut alone = Council::new(1);
        alone.after([Ok(opinion(7, 2))]);
        assert_eq!(alone.after([anew()]), Some(3));
    }

    #[test]
    fn two_addresses_of_one_epoch_do_not_alternate() {
        let mut council = Council::new(2);
        council.after([Ok(opinion(1, 1)), Ok(opinion(1, 1))]);
        assert_eq!(
            council.after([Ok(opinion(1, 2)), Ok(opinion(1, 1))]),
            Some(1)
        );
        assert_eq!(
            council.after([Ok(opinion(1, 2)), Ok(opinion(1, 2))]),
            Some(2)
        );
    }

    #[test]
    fn a_majority_or_all_that_can_answer_settle_a_question() {
        let mut council = Council::new(3);
        council.hear(0, 5, Ok(opinion(1, 1)));
        assert!(council.has_answered(5) && !council.has_answered(6));
        assert!(!council.is_settled(5));
        council.hear(1, 6, Ok(opinion(1, 1)));
        assert!(council.is_settled(5) && !council.is_over(5));
        council.hear(0, 6, silent());
        assert!(!council.is_settled(6));
        council.hear(2, 6, silent());
        assert!(council.is_settled(6) && council.is_over(6));
    }

    #[test]
    fn the_refusal_names_who_said_what() {
        let mut council = Council::new(2);
        let refusal = |council: &Council| council.refusal(["h1:1", "h2:2"].iter());
        council.after([failed(BackendErrorKind::Refused, "NOAUTH"), silent()]);
        let Refusal::Failed(error) = refusal(&council) else {
            panic!("one may come back");
        };
        assert_eq!(error.kind(), BackendErrorKind::Unreachable);
        assert!(error.to_string().contains("h1:1: NOAUTH; h2:2: silent"));
        let unfit = || {
            Err(Refusal::Unfit {
                setting: "url",
                reason: "no such master".to_owned(),
            })
        };
        council.after([unfit(), unfit()]);
        assert!(
            matches!(refusal(&council), Refusal::Unfit { setting: "url", reason }
            if reason.contains("h2:2: no such master"))
        );
    }
}
