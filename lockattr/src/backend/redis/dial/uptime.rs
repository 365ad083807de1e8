//! How long a server has been up: one that was restarted may have forgotten locks.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::backend::redis::hello::{Refusal, text};
use crate::backend::{BackendError, BackendErrorKind};

/// # Errors
///
/// [`Refusal`] of a server that was started later than `delay` ago, or does not say when.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    delay: Duration,
) -> Result<(), Refusal> {
    let question = redis::cmd("INFO").arg("server").to_owned();
    let answer = connection.send_packed_command(&question).await;
    let up = uptime(&answer.and_then(Value::extract_error)).map_err(|why| Refusal::Unfit {
        setting: "restart_delay",
        reason: format!("the server does not say how long it has been up ({why}): allow INFO"),
    })?;
    if up >= delay {
        return Ok(());
    }
    let message = format!(
        "it was started {up:?} ago and may have forgotten locks; it has no vote for another {:?} \
         (restart_delay)",
        delay.saturating_sub(up)
    );
    Err(BackendError::new(BackendErrorKind::Unavailable, message).into())
}

/// Reads whole seconds, rounded down.
fn uptime(answer: &RedisResult<Value>) -> Result<Duration, String> {
    let answer = answer.as_ref().map_err(ToString::to_string)?;
    let lines = text(answer).unwrap_or_default().lines();
    let mut values = lines.filter_map(|line| line.strip_prefix("uptime_in_seconds:"));
    let seconds = values.next().and_then(|value| value.trim().parse().ok());
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "its INFO has no uptime_in_seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_is_read() {
        let info = |text: &str| Ok(Value::BulkString(text.into()));
        let found = uptime(&info(
            "# Server\r\nuptime_in_seconds:17\r\nuptime_in_days:0\r\n",
        ));
        assert_eq!(found, Ok(Duration::from_secs(17)));
        assert!(uptime(&info("# Server\r\n")).is_err());
    }
}
