//! Questions to the lock service that are no attempts: callers ask, and the I/O thread gets the answers.

use tokio::sync::oneshot;

use super::Commands;
use crate::Error;
use crate::backend::{Backend, BackendError, Inspected, Inspection};
use crate::diagnosis::Diagnosis;

/// `None` if the lock service cannot be asked this.
type InspectionAnswer = Option<Result<Inspected, BackendError>>;

/// A question, and where its answer goes.
#[derive(Debug)]
pub(super) enum Question {
    Examine(oneshot::Sender<Diagnosis>),
    Inspect(Inspection, oneshot::Sender<InspectionAnswer>),
}

impl Question {
    /// Asks on a task of its own.
    pub(super) fn ask(self, backend: &impl Backend) {
        // An error of `send` means that the caller no longer waits.
        match self {
            Self::Examine(reply) => {
                let examination = backend.examine();
                tokio::spawn(async move { drop(reply.send(examination.await)) });
            }
            Self::Inspect(inspection, reply) => match backend.inspector() {
                Some(inspector) => {
                    tokio::spawn(async move {
                        drop(reply.send(Some(inspector(inspection).await)));
                    });
                }
                None => drop(reply.send(None)),
            },
        }
    }
}

impl Commands {
    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone.
    pub(crate) async fn examine(&self) -> Result<Diagnosis, Error> {
        self.question(Question::Examine).await
    }

    /// Returns `None` if the lock service has no answers to such questions.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the pool is gone.
    pub(crate) async fn inspect(
        &self,
        inspection: Inspection,
    ) -> Result<Option<Result<Inspected, BackendError>>, Error> {
        self.question(|reply| Question::Inspect(inspection, reply))
            .await
    }

    async fn question<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, Error> {
        self.shared().check_process()?;
        let (reply, answer) = oneshot::channel();
        let asked = self.shared().questions.send(question(reply));
        asked.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)
    }
}
