//! Serving: every kind of address, state, what a handler knows, and how a server is run.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use ringspun::runtime::Builder;
use ringspun::server::{Accept, Address, Context, LocalAddr, Peer, Server, Stream};

use crate::support::{PATIENCE, ask, assert_ended, byte, connect, echo, start, wait_until};

fn server() -> Server {
    Server::bind("127.0.0.1:0").cores(2).handle_signals(false).on_ready(|_| {})
}

#[test]
fn many_clients_on_two_cores() {
    for accept in [Accept::ReusePort, Accept::ReusePortWithHandOff, Accept::LeastLoaded] {
        let running = start(server().accept(accept).serve(echo));
        let mut clients: Vec<_> = (0..100).map(|_| running.connect()).collect();
        for client in &mut clients {
            ask(client, "hello");
        }
        assert_eq!(running.handle.connections(), 100);
        assert_eq!(running.handle.connections_by_core().iter().sum::<usize>(), 100);
        drop(clients);
        wait_until("all have ended", || running.handle.connections() == 0);
        let report = running.drain(PATIENCE);
        let all = report.totals();
        assert_eq!((all.accepted, all.finished, all.cut, all.panicked), (100, 100, 0, 0));
        assert_eq!(all.handed_over, all.received);
        assert_eq!(report.cores.len(), 2);
    }
}

#[test]
fn an_address_steered_by_cpu() {
    let running = start(server().steer_by_cpu(true).serve(echo));
    for _ in 0..10 {
        ask(&mut running.connect(), "hello");
    }
}

#[test]
fn unix_sockets_and_tcp_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    let name = format!("ringspun-test-{}", std::process::id());
    let server = server().and(path.clone()).and(format!("unix:@{name}"));
    let running = start(server.serve(|mut stream: Stream, context: Context| async move {
        assert!(matches!(context.peer(), Peer::Unix(Some(_)) | Peer::Tcp(_)));
        assert!(stream.nodelay()?);
        stream.write_all(format!("{}\n", context.local()).as_bytes()).await
    }));
    let addrs = running.handle.local_addrs();
    assert_eq!(addrs.len(), 3);
    assert!(matches!(&addrs[1], LocalAddr::Unix(at) if at.as_pathname() == Some(&*path)));
    assert_eq!(addrs[2].to_string(), format!("unix:@{name}"));
    for _ in 0..20 {
        let read = |stream| io::read_to_string(stream).expect("text");
        let said = read(UnixStream::connect(&path).expect("it listens"));
        assert_eq!(said, format!("unix:{}\n", path.display()));
        let text = io::read_to_string(running.connect()).expect("text");
        assert_eq!(text, format!("{}\n", addrs[0]));
    }
    running.drain(PATIENCE);
    assert!(!path.exists(), "the file goes with the server");
}

#[test]
fn a_stale_socket_file_is_replaced_and_another_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("socket");
    drop(UnixListener::bind(&path).expect("it is free"));
    let at_path = || Server::bind(path.clone()).cores(1).handle_signals(false);
    let running = start(at_path().serve(echo));
    ask(&mut UnixStream::connect(&path).expect("it listens"), "hello");

    let error = at_path().serve(echo).run().expect_err("somebody listens there");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains("socket"), "{error}");
    ask(&mut UnixStream::connect(&path).expect("it still listens"), "hello");
    running.drain(PATIENCE);

    std::fs::write(&path, "precious").expect("a file");
    let error = at_path().serve(echo).run().expect_err("a file");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
}

#[test]
fn an_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let error = Server::bind(address).cores(2).serve(echo).run().expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");

    // Nor does a second server slip in beside the first, unless it is told to.
    let running = start(server().serve(echo));
    let again = || Server::bind(running.tcp()).cores(2).handle_signals(false).on_ready(|_| {});
    let error = again().serve(echo).run().expect_err("it is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let second = start(again().share_port(true).serve(echo));
    second.drain(PATIENCE);
    ask(&mut running.connect(), "hello");
}

#[test]
fn a_text_that_is_no_address() {
    let error = Server::bind("nonsense").cores(1).serve(echo).run().expect_err("nonsense");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn a_name_with_a_port() {
    let bind = Server::bind("localhost:0").cores(1).handle_signals(false).on_ready(|_| {});
    let running = start(bind.serve(echo));
    for address in running.handle.local_addrs() {
        ask(&mut connect(address.tcp().expect("that is TCP")), "hello");
    }
}

#[test]
fn state_of_each_core() {
    let counting = server().state(|| Rc::new(Cell::new(0_u8)));
    let running =
        start(counting.serve(|mut stream: Stream, context: Context<Rc<Cell<u8>>>| async move {
            let number = context.state().get() + 1;
            context.state().set(number);
            stream.write_all(&[context.core() as u8, number]).await
        }));
    let mut seen = [0, 0];
    for _ in 0..50 {
        let mut client = running.connect();
        let (core, number) = (byte(&mut client), byte(&mut client));
        seen[usize::from(core)] += 1;
        assert_eq!(number, seen[usize::from(core)]);
    }
}

#[test]
fn errors_are_counted() {
    let running = start(server().serve(|mut stream: Stream, _: Context| async move {
        stream.read(&mut [0; 16]).await?;
        Err::<(), _>(io::Error::other("on purpose"))
    }));
    let mut client = running.connect();
    io::Write::write_all(&mut client, b"x").expect("it is taken");
    assert_ended(&mut client);
    let all = running.drain(PATIENCE).totals();
    assert_eq!((all.finished, all.failed), (1, 1));
}

#[test]
fn who_is_not_welcome_is_sent_away() {
    let choosy = server().on_connect(|peer: &Peer| peer.tcp().is_none());
    let running = start(choosy.serve(echo));
    assert_ended(&mut running.connect());
    let all = running.drain(PATIENCE).totals();
    assert_eq!((all.accepted, all.refused, all.finished), (1, 1, 0));
}

#[test]
fn awaited_inside_a_runtime() {
    let runtime = Builder::new().cores(2).build().expect("a ring");
    runtime.block_on(async {
        let server = server().serve(echo);
        let handle = server.handle();
        let running = ringspun::spawn(async move { server.await });
        while handle.local_addrs().is_empty() {
            ringspun::task::yield_now().await;
        }
        let address = handle.local_addrs()[0].tcp().expect("TCP");
        let mut stream = ringspun::net::TcpStream::connect(address).await.expect("it listens");
        stream.write_all(b"hello").await.expect("it is taken");
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.expect("the same");
        assert_eq!(&word, b"hello");
        drop(stream);
        handle.drain(PATIENCE);
        let report = running.await.expect("no panic").expect("it ends well");
        assert_eq!(report.totals().accepted, 1);
        assert!(handle.is_draining());
    });
}

#[test]
fn a_server_that_is_dropped_stops() {
    let runtime = Builder::new().cores(2).build().expect("a ring");
    let (sender, addresses) = mpsc::channel();
    let client = std::thread::spawn(move || {
        let mut client = connect(addresses.recv().expect("it listens"));
        ask(&mut client, "hello");
        client
    });
    let mut client = runtime.block_on(async {
        let server = server()
            .on_ready(move |ready| sender.send(ready.addrs()[0].tcp().expect("TCP")).expect("on"))
            .serve(echo);
        let handle = server.handle();
        let running = ringspun::spawn(async move { server.await });
        let client = ringspun::spawn_blocking(move || client.join().expect("no panic"));
        let client = client.await.expect("no panic");
        running.abort();
        assert!(running.await.expect_err("aborted").is_cancelled());
        while handle.connections() > 0 {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    assert_ended(&mut client);
}

#[test]
fn two_servers_in_one_process() {
    let (one, other) = (start(server().serve(echo)), start(server().serve(echo)));
    ask(&mut one.connect(), "one");
    ask(&mut other.connect(), "other");
    assert_eq!(one.drain(PATIENCE).totals().accepted, 1);
    ask(&mut other.connect(), "still");
    assert_eq!(other.drain(PATIENCE).totals().accepted, 2);
}

#[test]
fn the_stream_by_its_own_kind() {
    let running = start(server().serve(|stream: Stream, _: Context| async move {
        let stream = stream.into_unix().expect_err("it is TCP");
        let mut stream = stream.into_tcp().expect("it is TCP");
        stream.write_all(stream.peer_addr()?.to_string().as_bytes()).await?;
        let mut stream = Stream::from(stream);
        stream.shutdown().await
    }));
    let client = running.connect();
    let own = client.local_addr().expect("connected").to_string();
    assert_eq!(io::read_to_string(client).expect("text"), own);
}

#[test]
fn what_is_inherited_is_missing() {
    let error = Server::bind(Address::inherited()).cores(1).serve(echo).run();
    let error = error.expect_err("this process was started with none");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("LISTEN_FDS"), "{error}");
    // With something to fall back on it is no error.
    let running = start(server().prefer_inherited(true).serve(echo));
    ask(&mut running.connect(), "hello");
}
