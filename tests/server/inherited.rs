//! Listening sockets from whoever started the process, and signals.

use std::net::TcpListener;
use std::time::Duration;

use ringspun::server::{Address, Server};

use crate::child::{self, PASS_ON, wait_for, with_listener};
use crate::support::{PATIENCE, ask, connect, echo, start, wait_until};

#[test]
fn taken_over_by_a_second_process_without_loss() {
    const NAME: &str = "inherited::taken_over_by_a_second_process_without_loss";
    if child::is_child() {
        let server = Server::bind(Address::inherited_as("web")).cores(2);
        let report = server.drain(PATIENCE).serve(echo).run().expect("it was given one");
        assert!(report.totals().accepted > 0 && report.totals().cut == 0, "{report}");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut first = with_listener(NAME, PASS_ON, &listener);
    ask(&mut connect(address), "the first");
    let mut second = with_listener(NAME, PASS_ON, &listener);
    // Clients come all the while, and none of them notices.
    let asking = std::thread::spawn(move || {
        for _ in 0..300 {
            ask(&mut connect(address), "hello");
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    std::thread::sleep(Duration::from_millis(200));
    child::signal(&first, "TERM");
    wait_for(&mut first);
    asking.join().expect("nobody was lost");
    child::signal(&second, "TERM");
    wait_for(&mut second);
}

#[test]
fn preferred_to_an_address() {
    if child::is_child() {
        let server = Server::bind("127.0.0.1:1").prefer_inherited(true).cores(1);
        let report = server.drain(PATIENCE).serve(echo).run().expect("it was given one");
        assert_eq!(report.totals().accepted, 1);
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut only = with_listener("inherited::preferred_to_an_address", PASS_ON, &listener);
    ask(&mut connect(listener.local_addr().expect("bound")), "hello");
    child::signal(&only, "INT");
    wait_for(&mut only);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    if child::is_child() {
        let server = Server::inherited().cores(2).drain(Duration::MAX);
        let report = server.serve(echo).run().expect("it was given one");
        assert_eq!(report.totals().cut, 1);
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut only = with_listener("inherited::a_second_signal_ends_it_at_once", PASS_ON, &listener);
    let mut client = connect(listener.local_addr().expect("bound"));
    ask(&mut client, "hello");
    child::signal(&only, "TERM");
    // Two that come close together may be seen as one.
    std::thread::sleep(Duration::from_millis(300));
    assert!(only.try_wait().expect("a child").is_none(), "it waits for the client");
    let mut ended = false;
    wait_until("the process ends", || {
        child::signal(&only, "TERM");
        std::thread::sleep(Duration::from_millis(50));
        ended = only.try_wait().expect("a child").is_some();
        ended
    });
}

#[test]
fn no_socket_that_listens() {
    if child::is_child() {
        let error = Server::inherited().serve(echo).run().expect_err("it is no socket");
        assert!(error.to_string().contains("descriptor 3 is no socket"), "{error}");
        return;
    }
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3</dev/null";
    child::run("inherited::no_socket_that_listens", script);
}

#[test]
fn for_another_process() {
    if child::is_child() {
        let server = Server::bind("127.0.0.1:0").prefer_inherited(true).cores(1);
        let running = start(server.handle_signals(false).serve(echo));
        ask(&mut running.connect(), "hello");
        return;
    }
    child::run("inherited::for_another_process", "LISTEN_FDS=1 LISTEN_PID=1 exec \"$@\"");
}
