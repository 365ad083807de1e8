//! What the server can promise, as it is set up.

use std::sync::Arc;

use lockattr::backend::{BackendError, Examination, Time};
use lockattr::{Diagnosis, Finding, Severity, Topic};
use tokio_postgres::{Error, Row};

use crate::failure;
use crate::line::Line;

const ASK: &str = "select current_setting('server_version'), current_setting('synchronous_commit'), \
     current_setting('synchronous_standby_names'), current_setting('fsync') = 'on', \
     current_setting('full_page_writes') = 'on', \
     (select setting::int from pg_settings where name = 'idle_session_timeout'), \
     (select count(*) from pg_stat_replication)::int, \
     (select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum'))::int, \
     pg_has_role('pg_monitor', 'usage'), \
     (select bool_and(has_table_privilege(c.oid, p)) \
      from pg_class c, unnest(array['select', 'insert', 'update', 'delete']) p where c.relnamespace = $1::text::regnamespace and c.relkind = 'r'), \
     (select c.relpersistence::text from pg_class c where c.oid = ($1::text || '.lock')::regclass)";

pub(crate) fn examine(
    line: Result<Arc<Line>, BackendError>,
    schema: String,
    listens: bool,
) -> Examination {
    Box::pin(async move {
        let (sent_at, asked) = (Time::now(), ask(line, &schema).await);
        let took = Time::now().since(sent_at);
        let found = Diagnosis::of("PostgreSQL");
        match asked {
            Err(error) => found.with(
                finding(Severity::Broken, Topic::Deployment, &error.to_string())
                    .with_remedy("a connection to the database"),
            ),
            Ok(row) => match Seen::read(&row) {
                Ok(seen) => judge(&seen, listens, &schema)
                    .into_iter()
                    .fold(found.with_round_trip(took), Diagnosis::with),
                Err(error) => found.with(finding(
                    Severity::Unknown,
                    Topic::Deployment,
                    &failure::malformed(&error.to_string()).to_string(),
                )),
            },
        }
    })
}

async fn ask(line: Result<Arc<Line>, BackendError>, schema: &str) -> Result<Row, BackendError> {
    let line = line?;
    let _turn = line.turn().await;
    let typed = [(&schema as _, tokio_postgres::types::Type::TEXT)];
    let asked = line.client.query_typed_one(ASK, &typed).await;
    asked.map_err(|error| failure::of(&error))
}

/// What the server says of itself.
#[expect(clippy::struct_excessive_bools, reason = "a list of settings")]
#[derive(Debug, Clone)]
struct Seen {
    version: String,
    commit: String,
    standby_names: String,
    flushes: bool,
    writes_full_pages: bool,
    /// In milliseconds; older servers have none.
    idle_timeout: Option<i32>,
    standbys: i32,
    synchronous: i32,
    sees_standbys: bool,
    has_rights: bool,
    is_unlogged: bool,
}

impl Seen {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            version: row.try_get(0)?,
            commit: row.try_get(1)?,
            standby_names: row.try_get(2)?,
            flushes: row.try_get(3)?,
            writes_full_pages: row.try_get(4)?,
            idle_timeout: row.try_get(5)?,
            standbys: row.try_get(6)?,
            synchronous: row.try_get(7)?,
            sees_standbys: row.try_get(8)?,
            has_rights: row.try_get::<_, Option<bool>>(9)?.unwrap_or(false),
            is_unlogged: row.try_get::<_, Option<&str>>(10)? == Some("u"),
        })
    }
}

fn finding(severity: Severity, topic: Topic, seen: &str) -> Finding {
    Finding::new(severity, topic, seen)
}

fn judge(seen: &Seen, listens: bool, schema: &str) -> Vec<Finding> {
    let mut found = vec![
        finding(Severity::Good, Topic::Version, &seen.version),
        rights(seen, schema),
        persistence(seen),
        replication(seen),
    ];
    found.push(if listens {
        finding(
            Severity::Good,
            Topic::Messages,
            "waiters are told of their turn by NOTIFY",
        )
    } else {
        let said =
            "a pooler is in the way of LISTEN: waiters ask for their turn every 10 to 250 ms";
        finding(Severity::Limit, Topic::Messages, said)
            .with_remedy("`Postgres::listen_url` with a way to the server itself")
    });
    found.extend(seen.idle_timeout.filter(|it| *it != 0).map(idle_timeout));
    found
}

fn idle_timeout(millis: i32) -> Finding {
    let said = format!(
        "the server ends sessions that are idle for {millis} ms; the pool asks something every 12 s"
    );
    if millis > 12_000 {
        return finding(Severity::Good, Topic::IdleTimeout, &said);
    }
    finding(Severity::Warning, Topic::IdleTimeout, &said)
        .with_remedy("alter role … set idle_session_timeout = 0")
}

fn rights(seen: &Seen, schema: &str) -> Finding {
    if seen.has_rights {
        return finding(
            Severity::Good,
            Topic::Rights,
            "the user may read and write all tables of locks",
        );
    }
    let said = "the user may not read and write all tables of locks: some or all calls fail";
    let remedy = format!("grant select, insert, update, delete on all tables in schema {schema}");
    finding(Severity::Broken, Topic::Rights, said).with_remedy(remedy)
}

fn persistence(seen: &Seen) -> Finding {
    if seen.is_unlogged {
        let said = "the table of locks is unlogged: a crash of the server forgets all holders";
        return finding(Severity::Warning, Topic::Persistence, said)
            .with_remedy("alter table … set logged");
    }
    if !seen.flushes || !seen.writes_full_pages {
        let said = "fsync or full_page_writes is off: a crash of the machine may forget holders, or corrupt the database";
        return finding(Severity::Warning, Topic::Persistence, said)
            .with_remedy("fsync = on, full_page_writes = on");
    }
    if seen.commit == "off" {
        let said = "synchronous_commit is off for this user: a crash of the server forgets the holders of its last moments";
        return finding(Severity::Warning, Topic::Persistence, said)
            .with_remedy("alter role … set synchronous_commit = on");
    }
    finding(
        Severity::Good,
        Topic::Persistence,
        "each grant is on disk before it counts",
    )
}

fn replication(seen: &Seen) -> Finding {
    let waits = !seen.standby_names.is_empty() && !matches!(&*seen.commit, "off" | "local");
    if waits && (seen.synchronous > 0 || !seen.sees_standbys) {
        let said = "each grant is on a synchronous standby before it counts: a failover to it forgets none";
        return finding(Severity::Good, Topic::Replication, said);
    }
    if waits {
        let said = "there is no synchronous standby now, so nothing is granted until one is back";
        return finding(Severity::Warning, Topic::Replication, said);
    }
    if seen.standbys > 0 {
        let said = "standbys are asynchronous: a failover may forget the holders of the last moments, and let two in";
        return finding(Severity::Limit, Topic::Replication, said).with_remedy(
            "synchronous_standby_names and synchronous_commit = on, or the fencing token",
        );
    }
    finding(
        Severity::Limit,
        Topic::Replication,
        "one server: while it is down nothing is granted",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Seen {
        Seen {
            version: "15.0".to_owned(),
            commit: "on".to_owned(),
            standby_names: "*".to_owned(),
            flushes: true,
            writes_full_pages: true,
            idle_timeout: Some(0),
            standbys: 1,
            synchronous: 1,
            sees_standbys: true,
            has_rights: true,
            is_unlogged: false,
        }
    }

    #[test]
    fn a_sound_server_is_good_and_each_flaw_is_found() {
        let worst = |seen: &Seen, listens| {
            judge(seen, listens, "s")
                .iter()
                .map(|it| it.severity)
                .max()
                .unwrap()
        };
        assert_eq!(worst(&sound(), true), Severity::Good);
        assert_eq!(worst(&sound(), false), Severity::Limit);
        let flaw = |change: fn(&mut Seen)| {
            let mut seen = sound();
            change(&mut seen);
            worst(&seen, true)
        };
        assert_eq!(flaw(|it| it.has_rights = false), Severity::Broken);
        assert_eq!(flaw(|it| it.flushes = false), Severity::Warning);
        assert_eq!(flaw(|it| it.commit = "off".to_owned()), Severity::Warning);
        assert_eq!(flaw(|it| it.idle_timeout = Some(10_000)), Severity::Warning);
        assert_eq!(flaw(|it| it.is_unlogged = true), Severity::Warning);
        assert_eq!(flaw(|it| it.synchronous = 0), Severity::Warning);
        assert_eq!(flaw(|it| it.standby_names.clear()), Severity::Limit);
    }
}
