//! The scripts by themselves, called as no pool would: they keep their promises for any arguments.

use lockattr_tests::RedisServer;
use redis::{Connection, Value};

/// The scripts for one acquire, for one release, and for any attempts.
const ACQUIRE: &str = concat!(
    include_str!("../../../lockattr/src/backend/redis/lua/acquire.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/fence.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/shared.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/contended.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/attempts.lua")
);
const RELEASE: &str = concat!(
    include_str!("../../../lockattr/src/backend/redis/lua/release.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/fence.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/shared.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/contended.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/attempts.lua")
);
const ATTEMPTS: &str = concat!(
    "local clock, found, taken\n",
    include_str!("../../../lockattr/src/backend/redis/lua/fence.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/shared.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/contended.lua"),
    include_str!("../../../lockattr/src/backend/redis/lua/attempts.lua")
);
const LOCK: &str = "lockattr:{001}:k";
const FENCE: &str = "lockattr:{001}#fence";
const QUEUE: &str = "lockattr:{001}#queue:k";
const TOMBSTONE: &str = "lockattr:{001}#tomb:x";
/// No string is there.
const WRONG: &str = "lockattr:{001}:wrong";
/// The number of each call.
const NUMBER: &str = "7";

/// Returns the answers to the attempts of a call; the answer to one attempt may have the short
/// form.
fn call(connection: &mut Connection, script: &str, keys: &[&str], args: &[&str]) -> Vec<String> {
    let answer: Value = redis::cmd("EVAL")
        .arg(script)
        .arg(keys.len())
        .arg(keys)
        .arg(NUMBER)
        .arg("channel lockattr:wake:")
        .arg(args)
        .query(connection)
        .unwrap();
    let (head, answers) = match answer {
        Value::Array(parts) => {
            let mut texts = parts
                .into_iter()
                .map(|part| redis::from_redis_value(part).unwrap());
            (texts.next().unwrap(), texts.collect())
        }
        short => {
            let short: String = redis::from_redis_value(short).unwrap();
            let answer = short.split_once(':').map_or("d", |(_, token)| token);
            (short.clone(), vec![answer.to_owned()])
        }
    };
    let head: String = head;
    assert_eq!(head.split(':').next(), Some(NUMBER), "{head}");
    answers
}

fn acquire_by(connection: &mut Connection, script: &str, owner: &str, ttl: &str) -> String {
    let keys = [LOCK, FENCE, QUEUE, TOMBSTONE];
    let owner = format!("1:{owner}:");
    let args = [
        "a",
        "1",
        ttl,
        "1",
        "400 60000",
        ":1764000000000:who",
        &owner,
    ];
    call(connection, script, &keys, &args).remove(0)
}

fn acquire(connection: &mut Connection, owner: &str) -> String {
    acquire_by(connection, ACQUIRE, owner, "60000")
}

fn release_by(connection: &mut Connection, script: &str, owner: &str) -> String {
    let owner = format!("1:{owner}:");
    let args = ["r", "1", owner.as_str()];
    call(connection, script, &[LOCK], &args).remove(0)
}

fn release(connection: &mut Connection, owner: &str) {
    assert_eq!(release_by(connection, RELEASE, owner), "d");
}

fn renew(connection: &mut Connection, owner: &str) -> String {
    let owner = format!("1:{owner}:");
    let args = ["n", "1", "60000", owner.as_str()];
    call(connection, ATTEMPTS, &[LOCK], &args).remove(0)
}

fn token(granted: &str) -> u64 {
    let first = granted.trim_start_matches('g').split(':').next();
    let token = first.and_then(|first| first.parse().ok());
    token.unwrap_or_else(|| panic!("{granted}"))
}

#[test]
fn an_owner_is_not_taken_for_one_whose_name_it_begins() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    acquire(&mut connection, "pool-1-1f");
    assert_eq!(renew(&mut connection, "pool-1-1"), "n");
    for script in [RELEASE, ATTEMPTS] {
        release_by(&mut connection, script, "pool-1-1");
    }
    assert!(acquire(&mut connection, "pool-1-1").starts_with('h'));
    assert_eq!(server.locks(), [LOCK]);
}

#[test]
fn a_renewal_takes_nothing_that_is_free() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    assert_eq!(renew(&mut connection, "pool-1-0"), "n");
    assert!(server.locks().is_empty());
}

/// Neither a lock without an end nor the answer "no lock" comes out.
#[test]
fn an_invalid_ttl_leaves_no_lock() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    for script in [ACQUIRE, ATTEMPTS] {
        for ttl in ["0", "-1", "0.5", "", "1e3", "x", "99999999999999999999"] {
            let reply = acquire_by(&mut connection, script, "pool-1-0", ttl);
            assert!(reply.starts_with('e'), "\"{ttl}\": {reply}");
            assert!(server.locks().is_empty(), "\"{ttl}\"");
        }
    }
}

#[test]
fn tokens_are_whole_and_grow_by_one_up_to_what_a_double_holds() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    for script in [ACQUIRE, ATTEMPTS] {
        let last = (1_u64 << 53) - 3;
        server.raw(&["SET", FENCE, &last.to_string()]).unwrap();
        for n in 1..=3 {
            let granted = acquire_by(&mut connection, script, "pool-1-0", "60000");
            assert_eq!(token(&granted), last + n, "{granted}");
            release(&mut connection, "pool-1-0");
        }
        let refused = acquire_by(&mut connection, script, "pool-1-0", "60000");
        assert!(refused.starts_with('e'), "{refused}");
        assert!(server.locks().is_empty());
    }
}

/// As after a failover to a replica that lags, or a restart from an older dump, on any connection.
#[test]
fn tokens_grow_when_the_counter_goes_back() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let mut last = 0;
    for script in [ACQUIRE, ATTEMPTS, ACQUIRE, ATTEMPTS] {
        for counter in ["", "1", "1764000000000000", "before"] {
            let before = server.raw(&["GET", FENCE]).unwrap();
            let granted = token(&acquire_by(&mut connection, script, "pool-1-0", "60000"));
            assert!(granted > last, "{granted} after {last}");
            last = granted;
            release(&mut connection, "pool-1-0");
            match (counter, before) {
                ("before", Value::BulkString(before)) => {
                    let before = String::from_utf8(before).unwrap();
                    server.raw(&["SET", FENCE, &before]).unwrap();
                }
                ("" | "before", _) => {
                    server.raw(&["DEL", FENCE]).unwrap();
                }
                (counter, _) => {
                    server.raw(&["SET", FENCE, counter]).unwrap();
                }
            }
        }
    }
}

#[test]
fn asked_again_the_owner_gets_its_own_token_again() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let first = acquire(&mut connection, "pool-1-0");
    for script in [ACQUIRE, ATTEMPTS] {
        let again = acquire_by(&mut connection, script, "pool-1-0", "60000");
        assert_eq!(token(&first), token(&again));
    }
    // The same when another owner waits.
    assert!(acquire(&mut connection, "pool-2-0").starts_with('h'));
    let again = acquire(&mut connection, "pool-1-0");
    assert_eq!(token(&first), token(&again));
}

/// An attempt that fails does not affect the others of its call.
#[test]
fn attempts_of_one_call_do_not_touch_each_other() {
    let server = RedisServer::start();
    server.raw(&["RPUSH", WRONG, "x"]).unwrap();
    let mut keys = Vec::new();
    for lock in [WRONG, LOCK] {
        keys.push(lock);
    }
    for (lock, fence) in [(WRONG, FENCE), ("other", WRONG), (LOCK, FENCE)] {
        keys.extend([lock, fence, QUEUE, TOMBSTONE]);
    }
    let mut args = vec!["r", "2", "1:pool-1-0:", "1:pool-2-0:"];
    args.extend(["a", "3", "60000", "1", "400 60000", ":1:who"]);
    args.extend(["1:pool-1-0:", "1:pool-2-0:", "1:pool-3-0:"]);
    let replies = call(&mut server.connection(), ATTEMPTS, &keys, &args);
    assert_eq!(replies[..2], ["d", "d"]);
    assert!(replies[2].contains("WRONGTYPE"), "{replies:?}");
    assert!(replies[3].contains("#fence"), "{replies:?}");
    token(&replies[4]);
}

#[test]
fn a_foreign_hash_is_held_and_left_unchanged() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    server.raw(&["HSET", LOCK, "field", "value"]).unwrap();
    for script in [ACQUIRE, ATTEMPTS] {
        let reply = acquire_by(&mut connection, script, "pool-1-0", "60000");
        assert!(reply.contains("a foreign hash"), "{reply}");
    }
    for script in [RELEASE, ATTEMPTS] {
        assert_eq!(release_by(&mut connection, script, "pool-1-0"), "d");
    }
    assert_eq!(renew(&mut connection, "pool-1-0"), "n");
    let keys = [LOCK, FENCE, QUEUE, TOMBSTONE];
    let args = [
        "s",
        "1",
        "60000",
        "400 60000",
        ":1:who",
        "s",
        "1",
        "1:pool-1-0:",
    ];
    let reply = call(&mut connection, ATTEMPTS, &keys, &args).remove(0);
    assert!(reply.contains("a foreign hash"), "{reply}");
    let left: String = redis::cmd("HGET")
        .arg(LOCK)
        .arg("field")
        .query(&mut connection)
        .unwrap();
    assert_eq!(left, "value");
    assert!(server.keys("*#queue*").is_empty());
}

/// A lock of an older or newer lockattr, or of another program, is held and left unchanged.
#[test]
fn a_lock_in_another_format_is_held() {
    const OWNER: &str = "00112233445566778899aabbccddeeff-1-0";
    let server = RedisServer::start();
    let mut connection = server.connection();
    for value in [
        &format!("{OWNER}:1764000000000000:1764000000000:host/1 shop::pay"),
        &format!("2:{OWNER}:1764000000000000:1764000000000:host/1 shop::pay"),
        "1:somebody's",
        "1",
        "",
    ] {
        server.raw(&["SET", LOCK, value, "PX", "60000"]).unwrap();
        for script in [ACQUIRE, ATTEMPTS] {
            let reply = acquire_by(&mut connection, script, OWNER, "60000");
            assert!(reply.starts_with('h'), "{reply}");
        }
        for script in [RELEASE, ATTEMPTS] {
            assert_eq!(release_by(&mut connection, script, OWNER), "d");
        }
        assert_eq!(renew(&mut connection, OWNER), "n");
        let left = server.raw(&["GET", LOCK]).unwrap();
        assert_eq!(left, Value::BulkString(value.into()));
        server.raw(&["DEL", LOCK, QUEUE]).unwrap();
    }
}

/// Its owner asks again; it delays no release and no acquire.
#[test]
fn a_place_in_the_queue_in_another_format_is_passed_over() {
    const OTHERS: [&str; 3] = [
        "00112233445566778899aabbccddeeff-1-0:400:1:channel:host/1 shop::pay",
        "2:00112233445566778899aabbccddeeff-1-0:400:1:channel:host/1 shop::pay",
        "",
    ];
    let server = RedisServer::start();
    let mut connection = server.connection();
    for script in [ACQUIRE, ATTEMPTS] {
        for other in OTHERS {
            server.raw(&["RPUSH", QUEUE, other]).unwrap();
        }
        token(&acquire_by(&mut connection, script, "a-1-0", "60000"));
        assert!(server.keys(QUEUE).is_empty());
        // Marks the lock, so that its release looks at the queue.
        assert!(acquire(&mut connection, "b-1-0").starts_with('h'));
        server.raw(&["LPUSH", QUEUE, OTHERS[0]]).unwrap();
        release(&mut connection, "a-1-0");
        assert!(server.locks().is_empty() && server.keys(QUEUE).is_empty());
    }
}
