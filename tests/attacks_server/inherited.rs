//! What a process is told of descriptors that it was not given.

use std::net::TcpListener;

use ringspun::runtime::Runtime;
use ringspun::server::Server;

use crate::child;
use crate::support::{ask, connect, echo, start};

/// Nothing of the process may be touched: it goes on to work.
fn refused(expected: &str) {
    let runtime = Runtime::new().expect("a ring");
    runtime.block_on(async {
        let server = Server::inherited().handle_signals(false).serve(echo);
        let error = server.await.expect_err("it was not given one");
        assert!(error.to_string().contains(expected), "{error}");
        // The ring still works, and so does what comes next.
        ringspun::time::sleep(std::time::Duration::from_millis(1)).await;
        let (mut one, mut other) = ringspun::net::UnixStream::pair().expect("two sockets");
        one.write_all(b"x").await.expect("written");
        other.read_exact(&mut [0]).await.expect("read");
    });
    drop(runtime);
    ask(&mut start(Server::bind("127.0.0.1:0").cores(2).serve(echo)).connect(), "hello");
}

fn refuses(name: &str, expected: &str, script: &str) {
    if child::is_child() {
        return refused(expected);
    }
    child::run(name, script);
}

#[test]
fn descriptors_that_are_the_rings() {
    // 3 is closed at the start: what opens first, such as the ring, gets it.
    refuses(
        "inherited::descriptors_that_are_the_rings",
        "descriptor 3",
        "LISTEN_FDS=4 LISTEN_PID=$$ exec \"$@\" 3<&- 4<&- 5<&- 6<&-",
    );
}

#[test]
fn more_than_there_are() {
    refuses(
        "inherited::more_than_there_are",
        "descriptor",
        "LISTEN_FDS=1000000 LISTEN_PID=$$ exec \"$@\" 3<&-",
    );
}

#[test]
fn no_number_of_descriptors() {
    for fds in ["", "-1", "x", "99999999999999999999", "1 "] {
        let script = format!("LISTEN_FDS='{fds}' LISTEN_PID=$$ exec \"$@\"");
        refuses("inherited::no_number_of_descriptors", "LISTEN_FDS", &script);
        if child::is_child() {
            return;
        }
    }
}

#[test]
fn no_number_of_a_process() {
    for pid in ["", "x", "-1", "99999999999"] {
        let script = format!("LISTEN_FDS=1 LISTEN_PID='{pid}' exec \"$@\"");
        refuses("inherited::no_number_of_a_process", "LISTEN_PID", &script);
        if child::is_child() {
            return;
        }
    }
}

#[test]
fn one_of_another_name_and_closed_on_exec() {
    const NAME: &str = "inherited::one_of_another_name_and_closed_on_exec";
    if child::is_child() {
        let other = Server::bind("inherited:other").cores(1).handle_signals(false);
        let error = other.serve(echo).run().expect_err("it has no such name");
        assert!(error.to_string().contains("`other`"), "{error}");
        // The first answer has not used it up.
        let running = start(
            Server::bind("inherited:web").cores(2).drain(crate::support::PATIENCE).serve(echo),
        );
        ask(&mut running.connect(), "hello");
        let own = running.tcp().port();
        let listing = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output();
        let listing = String::from_utf8(listing.expect("it runs").stdout).expect("text");
        assert!(!listing.contains("socket:"), "{own}: {listing}");
        let again = Server::inherited().cores(1).handle_signals(false);
        let error = again.serve(echo).run().expect_err("it is taken");
        assert!(error.to_string().contains("no listening socket"), "{error}");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut only = child::with_listener(NAME, child::PASS_ON, &listener);
    child::wait_for(&mut only);
    drop(connect(listener.local_addr().expect("bound")));
}
