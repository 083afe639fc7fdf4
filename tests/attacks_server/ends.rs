//! Ends and beginnings: dropped midway, twice in a row, several at a time.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringspun::runtime::Builder;
use ringspun::server::{Context, Serve, Server, ServerHandle, Stream};
use ringspun::time::sleep;

use crate::support::{PATIENCE, ask, assert_ended, connect, echo, start, wait_until};

fn server(address: impl Into<ringspun::server::Address>) -> Server {
    Server::bind(address).handle_signals(false)
}

fn in_a_runtime<F: Future>(future: F) -> F::Output {
    Builder::new().cores(2).build().expect("rings").block_on(future)
}

async fn listening(handle: &ServerHandle) -> SocketAddr {
    while handle.local_addrs().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    handle.local_addrs()[0].tcp().expect("TCP")
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    ringspun::spawn_blocking(call).await.expect("no panic")
}

#[test]
fn dropped_midway_everything_is_closed() {
    in_a_runtime(async {
        for _ in 0..5 {
            let serve: Serve = server("127.0.0.1:0").max_connections(8).serve(echo);
            let handle = serve.handle();
            let running = ringspun::spawn(async move { serve.await });
            let address = listening(&handle).await;
            let mut clients = blocking(move || {
                // Four of them are not begun.
                (0..12).map(|_| connect(address)).collect::<Vec<_>>()
            })
            .await;
            while handle.connections() < 8 {
                sleep(Duration::from_millis(1)).await;
            }
            running.abort();
            let _ = running.await;
            blocking(move || clients.iter_mut().for_each(assert_ended)).await;
            while handle.connections() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            while blocking(move || TcpStream::connect(address).is_ok()).await {
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
fn twice_in_a_row_at_the_same_address_in_one_runtime() {
    in_a_runtime(async {
        let mut address: SocketAddr = "127.0.0.1:0".parse().expect("it is one");
        for _ in 0..5 {
            let serve = server(address).serve(echo);
            let handle = serve.handle();
            let running = ringspun::spawn(async move { serve.await });
            address = listening(&handle).await;
            blocking(move || {
                for _ in 0..10 {
                    ask(&mut connect(address), "hello");
                }
            })
            .await;
            handle.drain(PATIENCE);
            let report = running.await.expect("no panic").expect("the address is free");
            assert_eq!(report.totals().finished, 10, "{report}");
        }
    });
}

#[test]
fn several_at_a_time_do_not_mix() {
    in_a_runtime(async {
        let one = server("127.0.0.1:0").max_connections(3).serve(echo);
        let shout =
            |mut stream: Stream, _: Context| async move { stream.write_all(b"other").await };
        let other = server("127.0.0.1:0").serve(shout);
        let (first, second) = (one.handle(), other.handle());
        let one = ringspun::spawn(async move { one.await });
        let other = ringspun::spawn(async move { other.await });
        let (here, there) = (listening(&first).await, listening(&second).await);
        blocking(move || {
            let mut held: Vec<_> = (0..3).map(|_| connect(here)).collect();
            held.iter_mut().for_each(|client| ask(client, "hello"));
            for _ in 0..5 {
                let mut text = String::new();
                use std::io::Read;
                connect(there).read_to_string(&mut text).expect("text");
                assert_eq!(text, "other");
            }
        })
        .await;
        first.drain(PATIENCE);
        let report = one.await.expect("no panic").expect("it ends well");
        assert_eq!(report.totals().accepted, 3);
        assert!(!second.is_draining());
        second.drain(PATIENCE);
        let report = other.await.expect("no panic").expect("it ends well");
        assert_eq!(report.totals().accepted, 5);
    });
}

#[test]
fn a_handle_before_and_after() {
    let serve = server("127.0.0.1:0").cores(1).serve(echo);
    let handle = serve.handle();
    assert!(handle.local_addrs().is_empty() && !handle.is_draining());
    assert_eq!((handle.connections(), handle.connections_by_core().len()), (0, 0));
    handle.drain(Duration::ZERO);
    handle.drain(Duration::MAX);
    let report = serve.run().expect("it ends when it begins");
    assert_eq!(report.totals().accepted, 0);
    handle.stop();
    handle.drain(Duration::MAX);
    assert!(handle.is_draining());
    assert!(format!("{handle:?}").contains("connections: 0"));
    // One of a server that never ran.
    let serve = server("127.0.0.1:0").serve(echo);
    let handle = serve.handle();
    drop(serve);
    handle.stop();
}

#[test]
fn a_backlog_of_nothing_still_holds_one_at_the_drain() {
    for backlog in [0, 1] {
        let server = server("127.0.0.1:0").cores(1).backlog(backlog).max_connections(1);
        let running = start(server.serve(echo));
        let mut first = running.connect();
        ask(&mut first, "hello");
        // The kernel queues one more than it is told.
        let mut queued: Vec<_> = (0..=backlog).map(|_| running.connect()).collect();
        for client in &mut queued {
            client.write_all(b"x").expect("the kernel has it");
        }
        running.handle.drain(PATIENCE);
        wait_until("it drains", || running.handle.is_draining());
        drop(first);
        for mut client in queued {
            use std::io::Read;
            client.read_exact(&mut [0]).expect("it had come before the drain");
        }
        let totals = running.drain(PATIENCE).totals();
        assert_eq!(totals.accepted, u64::from(backlog) + 2);
    }
}

#[test]
fn clients_that_come_and_go_while_it_drains() {
    for round in 0..10 {
        let running = start(server("127.0.0.1:0").cores(2).max_connections(4).serve(echo));
        let address = running.tcp();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(move || {
                    // Until nobody listens.
                    while let Ok(mut client) = TcpStream::connect(address) {
                        client.set_read_timeout(Some(PATIENCE)).expect("not zero");
                        use std::io::Read;
                        let _ = client.write_all(b"x");
                        let _ = client.read(&mut [0]);
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(10 * round));
        let report = running.drain(PATIENCE);
        for thread in threads {
            thread.join().expect("no panic");
        }
        let totals = report.totals();
        let ended = totals.finished + totals.panicked + totals.cut + totals.accept_errors;
        assert_eq!(totals.accepted, ended, "{report}");
        assert_eq!(totals.handed_over, totals.received, "{report}");
        assert_eq!(totals.cut, 0, "{report}");
    }
}
