//! Settings of the server under which locks can be lost.

use redis::Value;
use redis::aio::MultiplexedConnection;
use tracing::warn;

use super::RedisSettings;
use crate::Error;

/// Warns of unsafe settings, or refuses them under `strict`.
///
/// # Errors
///
/// [`Error::Config`] under `strict`.
pub(super) async fn check(
    mut connection: MultiplexedConnection,
    settings: &RedisSettings,
    is_direct: bool,
) -> Result<(), Error> {
    let answer = if !is_direct {
        Ok(Value::Nil)
    } else if may_ask(&mut connection).await {
        connection.send_packed_command(&redis::cmd("INFO")).await
    } else {
        Ok(Value::Nil)
    };
    let doubts = match answer {
        Ok(Value::BulkString(text)) => doubts(&String::from_utf8_lossy(&text)),
        Ok(Value::VerbatimString { text, .. }) => doubts(&text),
        _ => vec!["its settings cannot be checked; allow INFO to this user".to_owned()],
    };
    if settings.options.strict && !doubts.is_empty() {
        return Err(Error::config("server", doubts.join("; ")));
    }
    for doubt in doubts {
        warn!(
            server = settings.place,
            "this Redis server can lose locks: {doubt}"
        );
    }
    Ok(())
}

/// Returns whether the user may call INFO. This is asked first, because the server records what it
/// refuses. Before Redis 7 there is no such question, so INFO itself has to show it.
async fn may_ask(connection: &mut MultiplexedConnection) -> bool {
    const SCRIPT: &str = "return redis.acl_check_cmd and tostring(redis.acl_check_cmd('INFO'))";
    let question = redis::cmd("EVAL").arg(SCRIPT).arg(0).to_owned();
    let answer = connection.send_packed_command(&question).await;
    !matches!(answer, Ok(Value::BulkString(text)) if text == b"false")
}

/// Returns what is wrong according to the text of INFO.
fn doubts(info: &str) -> Vec<String> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let mut doubts = Vec::new();
    if let Some(policy) = field("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        doubts.push(format!(
            "maxmemory-policy is {policy}, which evicts locks; set it to noeviction"
        ));
    }
    if field("aof_enabled") == Some("0") {
        doubts.push(
            "without AOF a restart forgets locks; set appendonly yes, or rely on the fencing token"
                .to_owned(),
        );
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_settings_are_found() {
        let safe = "# Memory\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        assert!(doubts(safe).is_empty());
        let unsafe_one = safe
            .replace("noeviction", "volatile-lru")
            .replace("aof_enabled:1", "aof_enabled:0");
        let found = doubts(&unsafe_one);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("volatile-lru") && found[1].contains("appendonly"));
    }
}
