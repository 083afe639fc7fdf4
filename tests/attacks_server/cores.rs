//! Cores that are busy, full, or gone.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use ringspun::runtime::Builder;
use ringspun::server::{Accept, Context, Server, Stream, WhenFull};

use crate::support::{PATIENCE, ask, assert_ended, byte, connect, echo, start, wait_until};

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(2).handle_signals(false)
}

/// Holds the core that it runs on until `release` says so.
async fn block(core: usize, held: Arc<AtomicBool>, release: Arc<AtomicBool>) {
    if ringspun::runtime::core_index() == Some(core) && !held.swap(true, Ordering::SeqCst) {
        while !release.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_busy_core_with_a_full_mailbox_and_a_full_core_beside_it() {
    const LIMIT: usize = 300;
    let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let most = Arc::new(AtomicUsize::new(0));
    let (holds, releases) = (Arc::clone(&held), Arc::clone(&release));
    let server = server()
        .accept(Accept::LeastLoaded)
        .max_connections_per_core(LIMIT)
        .when_full(WhenFull::Wait)
        .serve(move |mut stream: Stream, context: Context| {
            let (held, release) = (Arc::clone(&holds), Arc::clone(&releases));
            async move {
                block(1, held, release).await;
                stream.write_all(&[context.core() as u8]).await?;
                while stream.read(&mut [0; 64]).await? > 0 {}
                std::io::Result::Ok(())
            }
        });
    let running = start(server);
    let address = running.tcp();
    let mut clients: Vec<TcpStream> = Vec::new();
    while !held.load(Ordering::SeqCst) {
        clients.push(connect(address));
        std::thread::sleep(Duration::from_millis(5));
    }
    // More than both may have: core 0 has to stop at its limit, whatever core 1 does not take.
    clients.extend((0..2 * LIMIT + 50).map(|_| connect(address)));
    let look = || {
        let by_core = running.handle.connections_by_core();
        most.fetch_max(by_core.into_iter().max().unwrap_or(0), Ordering::SeqCst);
        running.handle.connections()
    };
    wait_until("as many as may be", || look() >= 2 * LIMIT);
    std::thread::sleep(Duration::from_millis(100));
    look();
    release.store(true, Ordering::SeqCst);
    assert!(most.load(Ordering::SeqCst) <= LIMIT, "{most:?} on one core");
    // Nobody is lost, not even of those that waited.
    for client in clients.iter_mut().take(2 * LIMIT) {
        byte(client);
    }
    let all = clients.len() as u64;
    drop(clients);
    let totals = running.drain(PATIENCE).totals();
    assert_eq!(totals.accepted, all);
    assert_eq!(totals.finished + totals.cut, all);
    assert_eq!(totals.handed_over, totals.received);
}

#[test]
fn full_cores_that_wait_are_all_served_in_the_end() {
    let server = server().max_connections(3).max_connections_per_core(2);
    let running = start(server.serve(echo));
    let address = running.tcp();
    let threads: Vec<_> = (0..16)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..20 {
                    ask(&mut connect(address), "hello");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("each is served");
    }
    wait_until("all places are back", || running.handle.connections() == 0);
    let totals = running.drain(PATIENCE).totals();
    assert_eq!((totals.accepted, totals.finished, totals.cut), (320, 320, 0));
}

#[test]
fn full_and_refusing_gives_all_places_back() {
    let server = server().max_connections(2).refuse_with("full");
    let running = start(server.serve(echo));
    let address = running.tcp();
    let threads: Vec<_> =
        (0..16).map(|_| std::thread::spawn(move || drop(connect(address)))).collect();
    for thread in threads {
        thread.join().expect("it connects");
    }
    wait_until("all places are back", || running.handle.connections() == 0);
    // Those that wait in a backlog are not counted yet; so more than once.
    wait_until("somebody is served", || {
        use std::io::{Read, Write};
        let mut client = connect(address);
        let mut answer = [0; 4];
        client.write_all(b"hell").is_ok()
            && client.read_exact(&mut answer).is_ok()
            && &answer == b"hell"
    });
    running.drain(PATIENCE);
}

#[test]
fn a_handler_that_never_yields_does_not_hold_up_the_end() {
    let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (holds, releases) = (Arc::clone(&held), Arc::clone(&release));
    let runtime = Builder::new().cores(2).shutdown_timeout(Duration::from_millis(100));
    let server = Server::bind("127.0.0.1:0")
        .runtime(runtime)
        .handle_signals(false)
        .accept(Accept::LeastLoaded)
        .serve(move |mut stream: Stream, _: Context| {
            let (held, release) = (Arc::clone(&holds), Arc::clone(&releases));
            async move {
                block(1, held, release).await;
                stream.read(&mut [0; 1]).await.map(drop)
            }
        });
    let mut running = start(server);
    let address = running.tcp();
    let mut clients = Vec::new();
    while !held.load(Ordering::SeqCst) {
        clients.push(connect(address));
        clients.push(connect(address));
        std::thread::sleep(Duration::from_millis(5));
    }
    running.handle.drain(Duration::ZERO);
    let report = running.end().expect("core 0 is left");
    assert!(!report.cores[0].lost && report.cores[1].lost, "{report}");
    release.store(true, Ordering::SeqCst);
}

#[test]
fn a_core_that_has_ended_before_the_server_begins() {
    let (done, ended) = mpsc::channel();
    let barrier = Arc::new(Barrier::new(2));
    let (address, addressed) = mpsc::channel();
    let waits = Arc::clone(&barrier);
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new().cores(3).build().expect("rings");
        let report = runtime.block_on(async {
            let cores = ringspun::runtime::Handle::current();
            cores.cores()[2].break_loop("on purpose");
            while cores.cores()[2].is_alive() {
                ringspun::time::sleep(Duration::from_millis(1)).await;
            }
            let server = Server::bind("127.0.0.1:0").handle_signals(false);
            let server = server
                .accept(Accept::LeastLoaded)
                .on_ready(move |ready| {
                    address.send((ready.addrs()[0].tcp(), ())).expect("the test waits");
                    // Cores 0 and 1 are told to listen; this one is held before it can look.
                    waits.wait();
                })
                .serve(echo);
            let handle = server.handle();
            ringspun::spawn(async move {
                let _ = ringspun::spawn_blocking(move || ended.recv()).await;
                handle.drain(PATIENCE);
            })
            .detach();
            server.await
        });
        report.expect("two are left")
    });
    let (address, ()) = addressed.recv().expect("it listens");
    let mut clients: Vec<_> = (0..20).map(|_| connect(address.expect("TCP"))).collect();
    std::thread::sleep(Duration::from_millis(100));
    barrier.wait();
    // None of them waits for the core that is gone: served, or closed so that it can try again.
    let mut served = 0;
    for client in &mut clients {
        use std::io::{Read, Write};
        let mut buf = [0; 5];
        let answered = client.write_all(b"hello").is_ok() && client.read_exact(&mut buf).is_ok();
        served += usize::from(answered);
    }
    assert!(served > 0);
    // And afterwards all are served.
    for _ in 0..20 {
        ask(&mut connect(address.expect("TCP")), "hello");
    }
    drop(clients);
    done.send(()).expect("the server waits");
    let report = thread.join().expect("no panic");
    assert!(report.cores[2].lost, "{report}");
    assert_eq!(report.totals().cut, 0, "{report}");
}

#[test]
fn a_state_that_fails_on_one_core_only() {
    let server = server()
        .state(|| assert_ne!(ringspun::runtime::core_index(), Some(1), "on purpose"))
        .serve(echo);
    let running = start(server);
    let address = running.tcp();
    // Its listener is gone with it; until then the kernel may give it some.
    wait_until("the others serve all", || {
        (0..20).all(|_| {
            use std::io::{Read, Write};
            let mut client = connect(address);
            client.write_all(b"x").is_ok() && client.read_exact(&mut [0]).is_ok()
        })
    });
    let report = running.drain(PATIENCE);
    assert!(!report.cores[0].lost && report.cores[1].lost, "{report}");
}

#[test]
fn metrics_while_a_core_is_blocked() {
    let (held, release) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (holds, releases) = (Arc::clone(&held), Arc::clone(&release));
    let serving = move |mut stream: Stream, _: Context| {
        let (held, release) = (Arc::clone(&holds), Arc::clone(&releases));
        async move {
            block(1, held, release).await;
            let metrics = ringspun::runtime::Handle::current().metrics();
            stream.write_all(&[metrics.cores.len() as u8]).await?;
            stream.read(&mut [0; 1]).await.map(drop)
        }
    };
    let running = start(server().accept(Accept::LeastLoaded).serve(serving));
    let mut clients = Vec::new();
    while !held.load(Ordering::SeqCst) {
        clients.push(running.connect());
        clients.push(running.connect());
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut answered = false;
    wait_until("core 0 answers", || {
        let mut client = running.connect();
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("not zero");
        use std::io::Read;
        answered = client.read_exact(&mut [0]).is_ok();
        clients.push(client);
        answered
    });
    release.store(true, Ordering::SeqCst);
    drop(clients);
    assert_eq!(running.drain(PATIENCE).totals().cut, 0);
}

#[test]
fn a_connection_that_is_gone_before_it_is_begun() {
    let running = start(server().max_connections(1).serve(echo));
    let mut first = running.connect();
    ask(&mut first, "hello");
    for _ in 0..50 {
        let gone = running.connect();
        socket2::SockRef::from(&gone).set_linger(Some(Duration::ZERO)).expect("set");
    }
    drop(first);
    ask(&mut running.connect(), "hello");
    wait_until("all places are back", || running.handle.connections() == 0);
    let mut late = running.connect();
    running.handle.stop();
    assert_ended(&mut late);
}
