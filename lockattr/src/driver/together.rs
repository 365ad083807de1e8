//! Several futures that run at the same time.

use std::future::poll_fn;
use std::task::Poll;

/// Polls all of them until all are ready, and returns their values in their order.
///
/// Each is polled whenever one is woken, which is enough for the few keys of a call.
pub(crate) async fn together<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut values: Vec<_> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_ready = true;
        for (future, value) in futures.iter_mut().zip(&mut values) {
            if value.is_none() {
                match std::pin::Pin::new(future).poll(cx) {
                    Poll::Ready(ready) => *value = Some(ready),
                    Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    values.into_iter().flatten().collect()
}
