//! What goes wrong: handlers that panic, cores that end, descriptors that run out.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringspun::runtime::{Builder, Handle};
use ringspun::server::{Context, Peer, Server, Stream};

use crate::child;
use crate::support::{PATIENCE, ask, assert_ended, connect, echo, start};

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(2).handle_signals(false).on_ready(|_| {})
}

#[test]
fn a_handler_that_panics_each_100th_time() {
    const CLIENTS: usize = 1000;
    let number = Arc::new(AtomicUsize::new(0));
    let running = start(server().serve(move |stream: Stream, context: Context| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        assert!(number % 200 != 50, "on purpose, in the call");
        async move {
            assert!(number % 200 != 150, "on purpose, in the future");
            echo(stream, context).await
        }
    }));
    let mut answered = 0;
    for _ in 0..CLIENTS {
        let mut client = running.connect();
        let sent = client.write_all(b"hello").is_ok();
        let mut word = [0; 5];
        answered += usize::from(sent && io::Read::read_exact(&mut client, &mut word).is_ok());
    }
    let all = running.drain(PATIENCE).totals();
    assert_eq!((answered, all.panicked, all.finished), (990, 10, 990));
    assert_eq!(all.cut, 0);
}

#[test]
fn an_on_connect_that_panics() {
    let running =
        start(server().on_connect(|_: &Peer| -> bool { panic!("on purpose") }).serve(echo));
    assert_ended(&mut running.connect());
    assert_ended(&mut running.connect());
    assert_eq!(running.drain(PATIENCE).totals().refused, 2);
}

#[test]
fn a_core_that_ends_is_named_and_the_others_go_on() {
    let runtime = Builder::new().cores(2).build().expect("a ring");
    runtime.block_on(async {
        let server = server().serve(echo);
        let handle = server.handle();
        let running = ringspun::spawn(async move { server.await });
        while handle.local_addrs().is_empty() {
            ringspun::task::yield_now().await;
        }
        let address = handle.local_addrs()[0].tcp().expect("TCP");
        let ask_all = move || {
            let mut clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
            clients.iter_mut().for_each(|client| ask(client, "hello"));
            clients
        };
        let clients = ringspun::spawn_blocking(ask_all).await.expect("no panic");
        Handle::current().cores()[1].break_loop("on purpose");
        while Handle::current().cores()[1].is_alive() {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        // Its share of what comes goes to the other, once its listener is closed; what that had in
        // its queue is reset with it.
        let more = ringspun::spawn_blocking(move || {
            let one = |_| loop {
                let mut client = connect(address);
                let mut answer = [0; 5];
                let asked =
                    client.write_all(b"hello").and_then(|()| client.read_exact(&mut answer));
                if asked.is_ok() {
                    assert_eq!(&answer, b"hello");
                    break client;
                }
            };
            (0..20).map(one).collect::<Vec<_>>()
        });
        let more = more.await.expect("no panic");
        drop((clients, more));
        handle.drain(PATIENCE);
        let report = running.await.expect("no panic").expect("one core is left");
        assert!(!report.cores[0].lost && report.cores[1].lost, "{report}");
        assert!(report.to_string().contains("it ended early"), "{report}");
    });
}

#[test]
fn a_state_that_cannot_be_made_is_an_error() {
    let broken = server().state(|| -> u8 { panic!("on purpose") });
    let error = broken.serve(echo).run().expect_err("no core is left");
    assert!(error.to_string().contains("all cores"), "{error}");
}

/// What waits in the backlog for want of descriptors is served too before the end.
#[test]
fn the_end_comes_while_there_are_no_descriptors() {
    if child::is_child() {
        let server = Server::inherited().cores(1).drain(PATIENCE);
        let all = server.serve(echo).run().expect("it was given one").totals();
        assert_eq!((all.accepted, all.finished, all.cut), (100, 100, 0));
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let name = "faults::the_end_comes_while_there_are_no_descriptors";
    let script = format!("ulimit -n 60; {}", child::PASS_ON);
    let mut server = child::with_listener(name, &script, &listener);
    let mut clients: Vec<_> = (0..100).map(|_| connect(address)).collect();
    // It serves, and there are more than it has descriptors for.
    ask(&mut clients[0], "hello");
    child::signal(&server, "TERM");
    for mut client in clients {
        ask(&mut client, "hello");
    }
    child::wait_for(&mut server);
}

#[test]
fn out_of_descriptors() {
    if child::is_child() {
        let server = Server::inherited().cores(1).drain(PATIENCE);
        let all = server.serve(echo).run().expect("it was given one").totals();
        assert_eq!((all.accepted, all.finished, all.cut), (100, 100, 0));
        assert!(all.accept_errors > 0, "{all:?}");
        assert!(all.accept_errors < 1000, "it spins: {all:?}");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let script = format!("ulimit -n 60; {}", child::PASS_ON);
    let mut server = child::with_listener("faults::out_of_descriptors", &script, &listener);
    // More at once than it has descriptors for.
    let clients: Vec<_> = (0..100).map(|_| connect(address)).collect();
    // Whoever is served and goes makes room for the next.
    for mut client in clients {
        ask(&mut client, "hello");
    }
    child::signal(&server, "TERM");
    child::wait_for(&mut server);
}
