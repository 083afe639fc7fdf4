//! The end under load, and a second server in the place of the first: no request is lost.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::load::{After, Load};
use crate::process::{get, program, start, start_inheriting};

const CLIENTS: usize = 32;
const NOTE: &str = "a restart may lose connections";

#[test]
fn a_listener_that_was_inherited_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = start_inheriting(&listener, &["--cores", "2"]);
    assert_eq!(server.address(), listener.local_addr().expect("bound"));
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    let ended = server.terminate();
    assert!(!ended.log.contains(NOTE), "{}", ended.log);
}

#[test]
fn a_listener_of_its_own_has_a_note_at_start() {
    let migrates = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    let migrates = migrates.is_ok_and(|setting| setting.trim() == "1");
    let ended = start(&["--cores", "2"]).terminate();
    assert_eq!(ended.log.contains(NOTE), !migrates, "{}", ended.log);
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

/// It opens a new connection when an answer says that it was the last one, and counts what fails.
#[test]
fn wrk_sees_no_error_while_servers_take_over() {
    let Some(wrk) = program(&["wrk"], "wrk") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let flags = ["--cores", "2", "--drain-seconds", "50"];
    let mut server = start_inheriting(&listener, &flags);
    let url = format!("{}hello", server.url);
    let mut command = Command::new(wrk);
    command.args(["-t", "2", "-c", "32", "-d", "4s", "--timeout", "60s", &url]);
    let load = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it is here");
    let mut ended = Vec::new();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        let next = start_inheriting(&listener, &flags);
        ended.push(std::mem::replace(&mut server, next).terminate());
    }
    let output = load.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    eprintln!("{text}");
    assert!(output.status.success() && text.contains("requests in"), "{text}");
    assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
    server.terminate();
}
