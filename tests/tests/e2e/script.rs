//! The script by itself, called as no pool would: what it promises whatever it is given.

use lockattr_tests::RedisServer;
use redis::Connection;

const SCRIPT: &str = include_str!("../../../lockattr/src/backend/redis/lua/batch.lua");
const LOCK: &str = "lockattr:{001}:k";
const FENCE: &str = "lockattr:{001}#fence";
const QUEUE: &str = "lockattr:{001}#queue:k";
const TOMBSTONE: &str = "lockattr:{001}#tomb:x";

fn call(connection: &mut Connection, keys: &[&str], args: &[&str]) -> String {
    let replies: Vec<String> = redis::cmd("EVAL")
        .arg(SCRIPT)
        .arg(keys.len())
        .arg(keys)
        .arg("lockattr:wake:")
        .arg(args)
        .query(connection)
        .unwrap();
    replies[1].clone()
}

fn acquire(connection: &mut Connection, owner: &str, ttl: &str) -> String {
    let keys = [LOCK, FENCE, QUEUE, TOMBSTONE];
    let entry = format!("{owner}:400:1:none:who");
    call(
        connection,
        &keys,
        &["a", owner, &entry, ttl, "1", "60000", "who"],
    )
}

fn release(connection: &mut Connection, owner: &str) -> String {
    let keys = [LOCK, FENCE, QUEUE, TOMBSTONE];
    call(connection, &keys, &["r", owner, "", "0"])
}

fn renew(connection: &mut Connection, owner: &str) -> String {
    call(
        connection,
        &[LOCK, FENCE, QUEUE],
        &["n", owner, "60000", "0"],
    )
}

fn token(granted: &str) -> u64 {
    let token = granted
        .strip_prefix('g')
        .and_then(|rest| rest.split(':').next());
    token
        .unwrap_or_else(|| panic!("{granted}"))
        .parse()
        .unwrap()
}

#[test]
fn an_owner_is_not_taken_for_one_whose_name_it_begins() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    acquire(&mut connection, "pool-1-1f", "60000");
    assert_eq!(renew(&mut connection, "pool-1-1"), "n");
    release(&mut connection, "pool-1-1");
    assert!(acquire(&mut connection, "pool-1-1", "60000").starts_with('h'));
    assert_eq!(server.locks(), [LOCK]);
}

#[test]
fn a_renewal_takes_nothing_that_is_free() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    assert_eq!(renew(&mut connection, "pool-1-0"), "n");
    assert!(server.locks().is_empty());
}

/// Not a lock without an end, nor the word for a lock that is not there.
#[test]
fn a_ttl_that_is_none_leaves_no_lock() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    for ttl in ["0", "-1", "0.5", "", "1e3", "x", "99999999999999999999"] {
        let reply = acquire(&mut connection, "pool-1-0", ttl);
        assert!(reply.starts_with('e'), "«{ttl}»: {reply}");
        assert!(server.locks().is_empty(), "«{ttl}»");
    }
}

#[test]
fn tokens_are_whole_and_grow_by_one_up_to_what_a_double_holds() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let last = (1_u64 << 53) - 3;
    server.raw(&["SET", FENCE, &last.to_string()]).unwrap();
    for n in 1..=2 {
        let granted = acquire(&mut connection, "pool-1-0", "60000");
        assert_eq!(token(&granted), last + n, "{granted}");
        release(&mut connection, "pool-1-0");
    }
}

#[test]
fn asked_again_the_owner_gets_its_own_token_again() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let first = acquire(&mut connection, "pool-1-0", "60000");
    let again = acquire(&mut connection, "pool-1-0", "60000");
    assert_eq!(token(&first), token(&again));
}

/// One attempt that fails does not touch those in the same call.
#[test]
fn attempts_of_one_call_do_not_touch_each_other() {
    let server = RedisServer::start();
    server.raw(&["RPUSH", "wrong", "x"]).unwrap();
    let replies: Vec<String> = redis::cmd("EVAL")
        .arg(SCRIPT)
        .arg(8)
        .arg(&[
            "wrong", FENCE, QUEUE, TOMBSTONE, LOCK, FENCE, QUEUE, TOMBSTONE,
        ])
        .arg("lockattr:wake:")
        .arg(&["a", "pool-1-0", "e", "60000", "1", "60000", "who"])
        .arg(&["a", "pool-2-0", "e", "60000", "1", "60000", "who"])
        .query(&mut server.connection())
        .unwrap();
    assert!(replies[1].contains("WRONGTYPE"), "{replies:?}");
    token(&replies[2]);
}
