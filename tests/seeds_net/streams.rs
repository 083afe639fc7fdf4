//! Streams on one core.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::rc::Rc;

use ringspun::net::{TcpListener, TcpStream};
use ringspun::uring::AsyncIoUring;

use crate::support::{PATIENCE, block_on, child_of, is_child, tcp_pair};

const REQUESTS: usize = 1000;

/// Serves one client, and says where on standard output. One receive for each request.
fn serve_one() {
    let runtime = ringspun::runtime::Runtime::new().expect("a ring");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("port {}", listener.local_addr().expect("bound").port());
        let (mut stream, _) = listener.accept().await.expect("a client");
        let before = runtime.metrics().submitted;
        let mut buf = [0; 1024];
        loop {
            let count = stream.read(&mut buf).await.expect("a client");
            if count == 0 {
                break;
            }
            // Direct: what is written is in the kernel at once, so this is no entry.
            stream.write_all(&buf[..count]).await.expect("room");
        }
        println!("entries {}", runtime.metrics().submitted - before);
    });
}

/// Reads only: sends are direct calls, which wait for nothing. Without faults, which are entries
/// and calls too.
#[test]
fn m1_no_receive_is_a_system_call() {
    const TEST: &str = "streams::m1_no_receive_is_a_system_call";
    if is_child() {
        return serve_one();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let calls = "trace=read,readv,pread64,preadv,preadv2,recvfrom,recvmsg,recvmmsg,\
                 epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6";
    let path = trace.to_str().expect("text");
    let strace = ["strace", "-f", "-yy", "-qq", "-e", calls, "-o", path];
    let has_strace = std::process::Command::new("strace").args(["-o", path, "true"]).output();
    let has_strace = has_strace.is_ok_and(|output| output.status.success());
    let wrapper: &[&str] = if has_strace { &strace } else { &[] };
    let mut server = child_of(TEST, wrapper)
        .env_remove("RINGSPUN_CHAOS_SEED")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let mut told = |what: &str| -> u64 {
        let mut lines = lines.by_ref().map(|line| line.expect("text"));
        let line = lines.find(|line| line.contains(what)).expect("it says so");
        let (_, number) = line.split_once(what).expect("just found");
        number.trim().parse().expect("a number")
    };
    let mut client = std::net::TcpStream::connect(("127.0.0.1", told("port ") as u16)).expect("it");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut buf = [0; 16];
    for _ in 0..REQUESTS {
        client.write_all(&[7; 16]).expect("room");
        client.read_exact(&mut buf).expect("an answer");
    }
    drop(client);
    // One for each request and the end, and the notifier's poll.
    let entries = told("entries ");
    // One for each receive; now and then one more, by which a busy writer gives way.
    let most = REQUESTS + REQUESTS / 100 + 2;
    assert!((REQUESTS as u64..=most as u64).contains(&entries), "{entries} entries");
    assert!(server.wait().expect("it ends").success());
    if !has_strace {
        eprintln!("m1: there is no strace here, only entries were counted");
        return;
    }
    let trace = std::fs::read_to_string(trace).expect("text");
    assert!(trace.contains("read("), "it traces: {trace}");
    let waits = ["<TCP", "<socket:", "epoll_", "select", "poll("];
    let found = trace.lines().filter(|line| waits.iter().any(|wait| line.contains(wait)));
    let found = found.filter(|line| !is_of_the_start(line)).collect::<Vec<_>>();
    assert!(found.is_empty(), "{found:#?}");
}

/// std looks with `poll` whether descriptors 0 to 2 are open, before `main`.
fn is_of_the_start(line: &str) -> bool {
    line.contains("poll([{fd=0")
}

#[test]
fn n10_several_waiters_on_one_descriptor() {
    const BIG: usize = 8 << 20;
    block_on(async {
        let (ours, mut theirs) = tcp_pair().await;
        let ours = Rc::new(ours);
        let receives = [0, 1].map(|_| {
            let ours = Rc::clone(&ours);
            ringspun::spawn(async move { ours.recv(Vec::with_capacity(4)).await })
        });
        let sends = [b'a', b'b'].map(|letter| {
            let ours = Rc::clone(&ours);
            ringspun::spawn(async move { ours.send(vec![letter; BIG]).await.0 })
        });
        for _ in 0..10 {
            ringspun::task::yield_now().await;
        }
        // Both directions wait in the kernel, on one descriptor.
        let fd = std::os::fd::AsRawFd::as_raw_fd(&*ours);
        let flying = AsyncIoUring::current().ops_in_flight();
        let mut names: Vec<_> =
            flying.iter().filter(|op| op.fd == fd).map(|op| op.operation).collect();
        names.sort_unstable();
        assert_eq!(names, ["RECV", "SEND"]);

        theirs.write_all(b"12345678").await.expect("room");
        let both = futures::future::join_all(receives).await;
        let both: Vec<_> = both.into_iter().map(|joined| joined.expect("no panic").1).collect();
        assert_eq!(both, [b"1234", b"5678"], "in the order in which they asked");
        let mut all = vec![0; 2 * BIG];
        theirs.read_exact(&mut all).await.expect("both");
        assert!(all[..BIG].iter().all(|byte| *byte == b'a'), "nobody comes in between");
        assert!(all[BIG..].iter().all(|byte| *byte == b'b'), "nobody comes in between");
        for send in sends {
            assert_eq!(send.await.expect("no panic").expect("all"), BIG);
        }
    });
}

const BLOCK: usize = 64 << 10;

/// Block `number` of a sequence that comes again after 251 blocks.
fn block(pattern: &[u8], number: usize) -> &[u8] {
    &pattern[number % 251..][..BLOCK]
}

#[test]
fn n11_reads_and_writes_at_once_on_one_socket() {
    let long = std::env::var_os("RINGSPUN_LONG").is_some();
    let blocks = if long { 16 << 10 } else { 1 << 10 };
    let pattern: Rc<[u8]> = (0..BLOCK + 251).map(|place| (place * 7 % 253) as u8).collect();
    block_on(async {
        let (ours, theirs) = tcp_pair().await;
        let mut tasks = Vec::new();
        for stream in [ours, theirs] {
            let (mut read, mut write) = stream.into_split();
            let sent = Rc::clone(&pattern);
            tasks.push(ringspun::spawn(async move {
                for number in 0..blocks {
                    write.write_all(block(&sent, number)).await.expect("room");
                }
            }));
            let expected = Rc::clone(&pattern);
            tasks.push(ringspun::spawn(async move {
                let mut buf = vec![0; BLOCK];
                for number in 0..blocks {
                    read.read_exact(&mut buf).await.expect("bytes");
                    assert!(buf == block(&expected, number), "block {number}");
                }
                assert_eq!(read.read(&mut buf).await.expect("the end"), 0);
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

#[test]
fn z1_client_and_server_on_one_core() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = ringspun::spawn(async move {
            for _ in 0..50 {
                let (mut stream, _) = listener.accept().await.expect("a client");
                ringspun::spawn(async move {
                    let mut buf = [0; 256];
                    loop {
                        match stream.read(&mut buf).await.expect("a client") {
                            0 => break,
                            count => stream.write_all(&buf[..count]).await.expect("room"),
                        }
                    }
                })
                .detach();
            }
        });
        let clients = (0..50).map(|client| {
            ringspun::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("the server");
                for round in 0..20 {
                    let text = format!("client {client}, round {round}");
                    stream.write_all(text.as_bytes()).await.expect("room");
                    let mut buf = vec![0; text.len()];
                    stream.read_exact(&mut buf).await.expect("an echo");
                    assert_eq!(buf, text.as_bytes());
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("no panic");
        }
        server.await.expect("no panic");
    });
}

/// As typed ops it is in `tests/seeds.rs`.
#[test]
fn z16_connect_send_receive_close_by_the_types() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = ringspun::spawn(async move {
            let (stream, peer) = listener.accept().await.expect("a client");
            assert_eq!(stream.peer_addr().expect("connected"), peer);
            loop {
                let (count, buf) = stream.recv(Vec::with_capacity(512)).await;
                if count.expect("a message") == 0 {
                    return stream.close().await.expect("closed");
                }
                stream.send(buf).await.0.expect("the client listens");
            }
        });
        let stream = TcpStream::connect(address).await.expect("the server");
        for number in 0..100 {
            let text = format!("message {number}");
            let (sent, text) = stream.send(text).await;
            assert_eq!(sent.expect("the server listens"), text.len());
            let (_, buf) = stream.recv(Vec::with_capacity(512)).await;
            assert_eq!(buf, text.as_bytes());
        }
        stream.close().await.expect("closed");
        server.await.expect("no panic");
    });
}
