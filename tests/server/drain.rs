//! The end: what is there finishes, what comes is not taken, the rest is cut off.

use std::io::{self, Read, Write};
use std::time::Duration;

use ringspun::server::{Accept, Context, Server, Stream};

use crate::support::{PATIENCE, ask, assert_ended, echo, start, wait_until};

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(2).handle_signals(false).on_ready(|_| {})
}

#[test]
fn those_that_finish() {
    for accept in [Accept::ReusePort, Accept::ReusePortWithHandOff, Accept::LeastLoaded] {
        let mut running = start(server().accept(accept).serve(echo));
        let mut clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
        clients.iter_mut().for_each(|client| ask(client, "before"));
        let address = running.tcp();
        running.handle.drain(PATIENCE);
        wait_until("nothing is taken any more", || {
            // Until the listeners are closed it may be taken; then it is served.
            match std::net::TcpStream::connect(address) {
                Ok(mut stream) => {
                    let _ = stream.write_all(b"x");
                    false
                }
                Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
            }
        });
        clients.iter_mut().for_each(|client| ask(client, "meanwhile"));
        drop(clients);
        let all = running.end().expect("it ends well").totals();
        assert_eq!(all.cut, 0);
        assert_eq!(all.finished, all.accepted);
        assert!(all.drained >= 20, "{all:?}");
    }
}

#[test]
fn those_that_do_not_are_cut_off_at_the_deadline() {
    let running = start(server().serve(echo));
    let mut clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| ask(client, "before"));
    let deadline = Duration::from_millis(50);
    let report = running.drain(deadline);
    assert!(report.drain >= deadline);
    assert_eq!((report.totals().cut, report.totals().finished), (20, 0));
    for client in &mut clients {
        assert_ended(client);
    }
    assert!(report.to_string().contains("20 cut off at the deadline"), "{report}");
}

#[test]
fn a_handler_hears_of_it() {
    let running = start(server().serve(|mut stream: Stream, context: Context| async move {
        assert!(!context.is_draining());
        stream.write_all(b"+").await?;
        context.draining().await;
        assert!(context.is_draining());
        stream.write_all(b"bye").await
    }));
    let mut clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
    clients.iter_mut().for_each(|client| client.read_exact(&mut [0]).expect("it is served"));
    let report = running.drain(PATIENCE);
    assert_eq!((report.totals().drained, report.totals().cut), (20, 0));
    for client in clients {
        assert_eq!(io::read_to_string(client).expect("text"), "bye");
    }
}

#[test]
fn what_waits_in_the_backlog_is_served() {
    let mut running = start(server().cores(1).max_connections(1).serve(echo));
    let mut first = running.connect();
    ask(&mut first, "first");
    // They are with the kernel, and the server does not take them before there is room.
    let mut waiting: Vec<_> = (0..5).map(|_| running.connect()).collect();
    running.handle.drain(PATIENCE);
    wait_until("the drain has begun", || running.handle.is_draining());
    drop(first);
    for mut client in waiting.drain(..) {
        ask(&mut client, "second");
    }
    let all = running.end().expect("it ends well").totals();
    assert_eq!((all.accepted, all.finished, all.cut), (6, 6, 0));
}

#[test]
fn asked_for_before_it_starts() {
    let server = server().serve(echo);
    server.handle().drain(PATIENCE);
    let report = server.run().expect("it ends well");
    assert_eq!(report.totals().accepted, 0);
}

#[test]
fn stopped_at_once() {
    let mut running = start(server().serve(echo));
    let mut client = running.connect();
    ask(&mut client, "hello");
    running.handle.drain(Duration::MAX);
    running.handle.stop();
    let all = running.end().expect("it ends well").totals();
    assert_eq!(all.cut, 1);
    assert_ended(&mut client);
}

#[test]
fn the_more_impatient_of_two() {
    let mut running = start(server().serve(echo));
    let mut client = running.connect();
    ask(&mut client, "hello");
    running.handle.drain(Duration::MAX);
    wait_until("the drain has begun", || running.handle.is_draining());
    running.handle.drain(Duration::from_millis(10));
    assert_eq!(running.end().expect("it ends well").totals().cut, 1);
}
