//! The harness does what the tests rely on.

use std::time::{Duration, Instant};

use lockattr_tests::{Direction, Policy, Proxy, RedisServer, eventually};
use redis::{Client, Connection, RedisResult};

/// Through the proxy, as the user with all rights.
fn client(proxy: &Proxy) -> Client {
    Client::open(format!("redis://127.0.0.1:{}/", proxy.port())).unwrap()
}

fn connect(proxy: &Proxy) -> Connection {
    client(proxy).get_connection().unwrap()
}

fn ping(connection: &mut Connection) -> RedisResult<()> {
    redis::cmd("PING").exec(connection)
}

#[test]
fn a_server_is_killed_and_comes_back_on_its_port() {
    let mut server = RedisServer::start();
    redis::cmd("SET")
        .arg("k")
        .arg(1)
        .exec(&mut server.connection())
        .unwrap();
    assert_eq!(server.keys("*"), ["k"]);
    let url = server.url();
    server.restart();
    assert_eq!(server.url(), url);
    assert!(server.keys("*").is_empty(), "nothing persists by default");
}

#[test]
fn a_paused_server_is_silent() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    connection
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    server.pause();
    assert!(ping(&mut connection).unwrap_err().is_timeout());
    server.resume();
    ping(&mut server.connection()).unwrap();
}

#[test]
fn replies_alone_can_be_delayed() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy);
    let delay = Duration::from_millis(60);
    proxy.set(Direction::Replies, Policy::Delay(delay));
    let start = Instant::now();
    redis::cmd("SET")
        .arg("k")
        .arg(1)
        .exec(&mut connection)
        .unwrap();
    assert!(start.elapsed() >= delay);
}

#[test]
fn stalled_bytes_arrive_later_and_dropped_bytes_never() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy);
    connection
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();

    proxy.set(Direction::Requests, Policy::Stall);
    let set = redis::cmd("SET")
        .arg("stalled")
        .arg(1)
        .exec(&mut connection);
    assert!(set.unwrap_err().is_timeout());
    assert!(server.keys("*").is_empty());
    proxy.set(Direction::Requests, Policy::Pass);
    eventually("the stalled request arrives", || {
        server.keys("*") == ["stalled"]
    });

    proxy.set(Direction::Requests, Policy::Drop);
    let set = redis::cmd("SET")
        .arg("dropped")
        .arg(1)
        .exec(&mut connection);
    assert!(set.unwrap_err().is_timeout());
    proxy.set(Direction::Requests, Policy::Pass);
    assert_eq!(server.keys("*"), ["stalled"]);
}

#[test]
fn connections_are_cut_and_refused() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let mut connection = connect(&proxy);
    ping(&mut connection).unwrap();
    proxy.cut();
    assert!(ping(&mut connection).is_err());
    proxy.refuse(true);
    let client = client(&proxy);
    assert!(client.get_connection().is_err());
    proxy.refuse(false);
    assert!(client.get_connection().is_ok());
}
