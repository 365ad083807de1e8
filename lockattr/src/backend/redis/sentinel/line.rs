//! A connection to one sentinel, and what it answers.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::failure;
use super::super::hello::{self, Refusal};
use super::super::stream::Way;
use super::council::Opinion;
use crate::backend::{BackendError, BackendErrorKind};

/// What a sentinel publishes when it knows of another master.
const SWITCH: &str = "+switch-master";

/// Its socket is closed with this value.
pub(super) struct Line {
    shared: MultiplexedConnection,
    /// Ends with this value.
    _driver: JoinSet<()>,
}

impl Line {
    /// Connects. `questions` goes up whenever the sentinel knows of another master.
    pub(super) async fn open(
        way: &Way,
        login: &RedisConnectionInfo,
        questions: watch::Sender<u64>,
    ) -> Result<Self, Refusal> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Message {
                    questions.send_modify(|question| *question += 1);
                }
                Ok::<_, redis::aio::SendError>(())
            });
        let stream = way.open().await?;
        let (shared, driver) = MultiplexedConnection::new_with_config(login, stream, config)
            .await
            .map_err(|error| explain_hello(&error, login))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        let mut line = Self {
            shared,
            _driver: tasks,
        };
        let subscribed = line.shared.subscribe(SWITCH).await;
        subscribed.map_err(|error| explain(&error, ""))?;
        Ok(line)
    }

    /// Asks where the master is.
    pub(super) async fn ask(&mut self, master_name: &str) -> Result<Opinion, Refusal> {
        // The epoch first: an address that is newer than its epoch does no harm.
        let mut answers = [Value::Nil, Value::Nil];
        for (answer, command) in answers
            .iter_mut()
            .zip(["MASTER", "GET-MASTER-ADDR-BY-NAME"])
        {
            let mut question = redis::cmd("SENTINEL");
            question.arg(command).arg(master_name);
            *answer = self
                .shared
                .send_packed_command(&question)
                .await
                .and_then(Value::extract_error)
                .map_err(|error| explain(&error, master_name))?;
        }
        let [master, address] = &answers;
        if *address == Value::Nil {
            return Err(unknown(master_name));
        }
        read(master, address).ok_or_else(|| failure::not_of_a_sentinel().into())
    }
}

/// What the answers to SENTINEL MASTER and SENTINEL GET-MASTER-ADDR-BY-NAME say.
fn read(master: &Value, address: &Value) -> Option<Opinion> {
    let epoch = hello::field(master, "config-epoch")?.parse().ok()?;
    let Value::Array(parts) = address else {
        return None;
    };
    let [host, port] = parts.as_slice() else {
        return None;
    };
    let host = hello::text(host).filter(|host| !host.is_empty())?;
    let port = hello::text(port)?.parse().ok().filter(|port| *port > 0)?;
    Some(Opinion {
        epoch,
        host: host.to_owned(),
        port,
    })
}

fn unknown(master_name: &str) -> Refusal {
    Refusal::Unfit {
        setting: "url",
        reason: format!(
            "it knows no master `{master_name}`; write the name that follows `sentinel monitor` in \
             its configuration"
        ),
    }
}

fn explain_hello(error: &RedisError, login: &RedisConnectionInfo) -> Refusal {
    let what = match error.code() {
        Some("NOAUTH") => "it asks for a login (NOAUTH)",
        Some("WRONGPASS") => "it refuses the login (WRONGPASS)",
        _ => return hello::explain(error, login),
    };
    let said = format!(
        "{what}; write that of the sentinels into the URL: ?sentinel_user=…&sentinel_password=…"
    );
    BackendError::new(BackendErrorKind::Refused, said).into()
}

fn explain(error: &RedisError, master_name: &str) -> Refusal {
    let failed = failure::classify(error).error;
    let text = failure::without_args(&error.to_string()).to_ascii_lowercase();
    if error.kind() != ErrorKind::Server(ServerErrorKind::ResponseError) {
        return failed.into();
    }
    if text.contains("no such master") {
        return unknown(master_name);
    }
    if failure::lacks_command(error) {
        return Refusal::Unfit {
            setting: "url",
            reason: "it is no sentinel; name the sentinels, whose port is 26379 by default, or \
                     write redis:// for one server"
                .to_owned(),
        };
    }
    failed.into()
}

#[cfg(test)]
mod tests {
    use super::super::super::stream::Address;
    use super::super::super::{RedisServer, url};
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn master(epoch: &str) -> Value {
        let fields = [("name", "mymaster"), ("config-epoch", epoch)];
        Value::Map(fields.map(|(name, value)| (bulk(name), bulk(value))).into())
    }

    fn address(parts: &[&str]) -> Value {
        Value::Array(parts.iter().map(|part| bulk(part)).collect())
    }

    #[test]
    fn an_opinion_is_an_epoch_and_an_address() {
        let expected = Opinion {
            epoch: 7,
            host: "10.0.0.1".to_owned(),
            port: 6379,
        };
        let there = address(&["10.0.0.1", "6379"]);
        assert_eq!(read(&master("7"), &there), Some(expected));
        for (master, address) in [
            (master("x"), there.clone()),
            (master("-1"), there.clone()),
            (Value::Nil, there.clone()),
            (Value::Map(Vec::new()), there),
            (master("7"), Value::Nil),
            (master("7"), Value::Okay),
            (master("7"), address(&[])),
            (master("7"), address(&["10.0.0.1"])),
            (master("7"), address(&["", "6379"])),
            (master("7"), address(&["10.0.0.1", "0"])),
            (master("7"), address(&["10.0.0.1", "65536"])),
            (master("7"), address(&["10.0.0.1", "6379", "x"])),
            (master("7"), Value::Array(vec![Value::Int(1), bulk("6379")])),
        ] {
            assert_eq!(read(&master, &address), None, "{master:?} {address:?}");
        }
    }

    /// Any server takes subscriptions.
    #[tokio::test]
    async fn a_switch_is_a_question() {
        let server = RedisServer::start();
        let url = server.url();
        let socket = url.split_once("://").unwrap().1;
        let way = Way {
            address: Address::Unix(socket.into()),
            #[cfg(feature = "tls")]
            tls: None,
        };
        let login = url::login(&RedisConnectionInfo::default(), None);
        let questions = watch::Sender::new(7);
        let mut asked = questions.subscribe();
        let mut line = Line::open(&way, &login, questions).await.unwrap();
        let Err(Refusal::Unfit { reason, .. }) = line.ask("mymaster").await else {
            panic!("it is no sentinel");
        };
        assert!(reason.contains("no sentinel"), "{reason}");
        let mut publisher = server.client.get_connection().unwrap();
        redis::cmd("PUBLISH")
            .arg(SWITCH)
            .arg("mymaster 10.0.0.1 6379 10.0.0.2 6379")
            .exec(&mut publisher)
            .unwrap();
        asked.changed().await.unwrap();
        assert_eq!(*asked.borrow(), 8);
    }
}
