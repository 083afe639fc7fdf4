//! The end under load, and a second server in the place of the first: no request is lost.

use std::net::TcpListener;

use crate::load::{After, Load};
use crate::process::{get, start, start_inheriting};

const CLIENTS: usize = 32;

#[test]
fn a_listener_that_was_inherited_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = start_inheriting(&listener, &["--cores", "2"]);
    assert_eq!(server.address(), listener.local_addr().expect("bound"));
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    server.terminate();
}

#[test]
fn sigterm_under_load_loses_no_request() {
    let server = start(&["--cores", "2", "--drain-seconds", "50"]);
    let load = Load::start(server.address(), CLIENTS, After::Ends);
    load.go_on_for(2000);
    server.signal("-TERM");
    let count = load.count();
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(count.failed.is_empty(), "{:?}", count.failed);
    // Each has heard that it was the last one.
    assert_eq!(count.closed, CLIENTS as u64, "{count:?}");
}

#[test]
fn a_second_server_takes_an_inherited_listener_over_under_load() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let flags = ["--cores", "2", "--drain-seconds", "50"];
    let mut server = start_inheriting(&listener, &flags);
    let load = Load::start(server.address(), CLIENTS, After::Reconnects);
    load.go_on_for(2000);
    for _ in 0..3 {
        let next = start_inheriting(&listener, &flags);
        load.go_on_for(200);
        let ended = std::mem::replace(&mut server, next).terminate();
        assert!(!ended.log.contains("panicked"), "{}", ended.log);
        load.go_on_for(1000);
    }
    load.stop();
    let count = load.count();
    assert!(count.failed.is_empty(), "{:?}", count.failed);
    assert!(count.closed >= 3, "{count:?}");
    server.terminate();
}
