//! `PostgreSQL`, with a synchronous standby or alone.

use std::thread::sleep;
use std::time::Duration;

use super::server::own_methods;
use super::{Deployed, Name, Purpose, Server};
use crate::campaign::Disturbance;
use crate::postgres::{PostgresPair, PostgresServer};

impl Deployed for PostgresPair {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn servers(&self) -> Vec<&dyn Server> {
        self.servers.iter().map(|it| it as &dyn Server).collect()
    }

    fn server_mut(&mut self, node: usize) -> &mut dyn Server {
        &mut self.servers[node]
    }

    fn masters(&self) -> Vec<usize> {
        vec![self.primary()]
    }

    fn hand_over(&mut self, _: usize) {
        self.fail_over(false);
    }

    /// It is killed, and its successor has all that was committed.
    fn take_over(&mut self, _: usize) {
        self.fail_over(true);
    }

    fn missing(&self) -> Option<String> {
        if let Some(down) = self.servers.iter().find(|server| !server.is_up()) {
            return Some(format!("{} is down", down.port()));
        }
        let text = "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'sync'";
        let followed = self.servers[self.primary()].try_query(text);
        match followed.map(|rows| rows[0].get::<_, i64>(0)) {
            Ok(1) => None,
            other => Some(format!("the standby does not follow: {other:?}")),
        }
    }
}

impl Server for PostgresServer {
    own_methods!();

    fn suffer(&self, what: Disturbance, a_while: Duration) {
        match what {
            Disturbance::KillClients => {
                for _ in 0..5 {
                    self.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'locker'");
                    sleep(a_while / 10);
                }
            }
            // As a migration or a backup may.
            Disturbance::Busy => self.execute(&format!(
                "begin; lock table lockattr.lock in access exclusive mode; select pg_sleep({}); commit",
                a_while.as_secs_f64()
            )),
            other => unreachable!("{other:?} is not done to PostgreSQL"),
        }
    }

    fn names(&self) -> Vec<Name> {
        let text = "select 0, key from lockattr.holder union all select 1, key from lockattr.waiter \
                    union all select 2, owner from lockattr.tombstone union all select 3, key from lockattr.lock";
        let rows = self.query(text);
        let named = |row: &tokio_postgres::Row| Name {
            purpose: match row.get::<_, i32>(0) {
                0 => Purpose::Lock,
                1 => Purpose::Queue,
                2 => Purpose::Tombstone,
                _ => Purpose::Fence,
            },
            text: row.get(1),
        };
        rows.iter().map(named).collect()
    }

    /// All have an end in their row, or are removed some time after their last use.
    fn ends(&self, _: &Name) -> Option<bool> {
        Some(true)
    }
}
