//! Which node has which slot.

use redis::Value;

use crate::backend::redis::stream::Address;

pub(super) const SLOTS: u16 = 16384;

/// Which master has which slot, as one node sees it.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Table {
    ranges: Vec<(u16, u16, Address)>,
    /// Grows with each change that the nodes have agreed upon.
    pub(super) epoch: u64,
    /// Whether the node takes commands.
    pub(in super::super) is_ok: bool,
}

impl Table {
    /// Reads the answers to CLUSTER SLOTS and CLUSTER INFO of the node at `asked`.
    pub(super) fn read(slots: &Value, info: &Value, asked: &Address) -> Option<Self> {
        let info = text(info)?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        let Value::Array(ranges) = slots else {
            return None;
        };
        Some(Self {
            ranges: ranges
                .iter()
                .map(|range| read_range(range, asked))
                .collect::<Option<_>>()?,
            epoch: field("cluster_current_epoch")?.parse().ok()?,
            is_ok: field("cluster_state")? == "ok",
        })
    }

    pub(in super::super) fn node(&self, slot: u16) -> Option<&Address> {
        let mut ranges = self.ranges.iter();
        let found = ranges.find(|(first, last, _)| (*first..=*last).contains(&slot));
        found.map(|(_, _, node)| node)
    }

    /// All nodes that have slots, each once.
    pub(in super::super) fn nodes(&self) -> Vec<Address> {
        let mut nodes: Vec<Address> = self.ranges.iter().map(|(.., node)| node.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// How many slots no node has.
    pub(in super::super) fn uncovered(&self) -> usize {
        let covered = self.ranges.iter();
        let covered = covered.map(|(first, last, _)| usize::from(*last) + 1 - usize::from(*first));
        usize::from(SLOTS).saturating_sub(covered.sum())
    }
}

/// `[first, last, [host, port, …], replicas …]`
fn read_range(range: &Value, asked: &Address) -> Option<(u16, u16, Address)> {
    let Value::Array(parts) = range else {
        return None;
    };
    let [first, last, Value::Array(master), ..] = &parts[..] else {
        return None;
    };
    let [host, port, ..] = &master[..] else {
        return None;
    };
    let (first, last, port) = (number(first)?, number(last)?, number(port)?);
    let sound = first <= last && last < SLOTS;
    // A node that does not know its own address leaves it out: it is where it was asked.
    let host = match host {
        Value::Nil => "",
        host => text(host)?,
    };
    sound.then(|| (first, last, asked.with(host, port)))
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => (*number).try_into().ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(text) => std::str::from_utf8(text).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), bulk("id")]);
        let replica = Value::Array(vec![bulk("10.0.0.9"), Value::Int(7), bulk("id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master, replica])
    }

    fn asked() -> Address {
        Address::Tcp {
            host: "seed".to_owned(),
            port: 6379,
        }
    }

    const INFO: &str = "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_current_epoch:7\r\n";

    #[test]
    fn the_owner_of_each_slot_is_read() {
        let slots = Value::Array(vec![
            range(0, 99, bulk("10.0.0.1"), 1),
            range(100, 8000, bulk(""), 2),
            range(8001, 8001, Value::Nil, 3),
        ]);
        let table = Table::read(&slots, &bulk(INFO), &asked()).unwrap();
        assert!(table.is_ok && table.epoch == 7);
        let at = |slot| table.node(slot).map(ToString::to_string);
        assert_eq!(at(99).as_deref(), Some("10.0.0.1:1"));
        assert_eq!(at(100).as_deref(), Some("seed:2"));
        assert_eq!(at(8001).as_deref(), Some("seed:3"));
        assert_eq!(at(8002), None);
        assert_eq!(table.uncovered(), 16384 - 8002);
        assert_eq!(table.nodes().len(), 3);
    }

    #[test]
    fn nonsense_is_no_table() {
        let good = range(0, 1, bulk("h"), 1);
        for (slots, info) in [
            (Value::Nil, INFO),
            (Value::Array(vec![Value::Nil]), INFO),
            (Value::Array(vec![range(2, 1, bulk("h"), 1)]), INFO),
            (Value::Array(vec![range(0, 16384, bulk("h"), 1)]), INFO),
            (Value::Array(vec![range(0, 1, bulk("h"), 70_000)]), INFO),
            (Value::Array(vec![range(0, 1, Value::Int(1), 1)]), INFO),
            (Value::Array(vec![good.clone()]), "cluster_state:ok"),
            (Value::Array(vec![good]), "cluster_current_epoch:x"),
        ] {
            assert!(Table::read(&slots, &bulk(info), &asked()).is_none());
        }
    }
}
