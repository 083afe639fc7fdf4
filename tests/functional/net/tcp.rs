//! TCP connections and listeners.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use ringspun::net::{TcpListener, TcpSocket, TcpStream};

use super::poll_and_drop;
use crate::support::block_on;

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let ours = TcpStream::connect(address).await.expect("a listener");
    let (theirs, peer) = listener.accept().await.expect("a connection");
    assert_eq!(peer, ours.local_addr().expect("bound"));
    (ours, theirs)
}

/// Two ends, the far one std's: nothing but what is tested goes through the ring.
async fn with_std() -> (TcpStream, std::net::TcpStream) {
    let (ours, theirs) = pair().await;
    let theirs = theirs.into_std().expect("nothing is held");
    theirs.set_nonblocking(false).expect("a socket");
    (ours, theirs)
}

#[test]
fn there_and_back() {
    block_on(async {
        let (mut ours, mut theirs) = pair().await;
        ours.write_all(b"ping").await.expect("room");
        let mut buf = [0; 16];
        assert_eq!(theirs.read(&mut buf).await.expect("bytes"), 4);
        assert_eq!(&buf[..4], b"ping");
        theirs.write_all(b"pong").await.expect("room");
        assert_eq!(ours.read_exact(&mut buf[..4]).await.expect("bytes"), 4);
        assert_eq!(&buf[..4], b"pong");
        drop(ours);
        assert_eq!(theirs.read(&mut buf).await.expect("the end"), 0);
        assert_eq!(theirs.read(&mut buf).await.expect("the end, again"), 0);
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        let mut buf = [0; 16];
        poll_and_drop(ours.read(&mut buf));
        theirs.write_all(b"kept").expect("room");
        let mut later = [0; 16];
        assert_eq!(ours.read(&mut later).await.expect("bytes"), 4);
        assert_eq!(&later[..4], b"kept");
    });
}

#[test]
fn a_dropped_read_exact_gives_back() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(b"half").expect("room");
        let mut buf = [0; 8];
        for _ in 0..10 {
            let first =
                ringspun::time::timeout(Duration::from_millis(1), ours.read_exact(&mut buf));
            assert!(first.await.is_err());
        }
        theirs.write_all(b"more").expect("room");
        ours.read_exact(&mut buf).await.expect("bytes");
        assert_eq!(&buf, b"halfmore");
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        poll_and_drop(listener.accept());
        let address = listener.local_addr().expect("bound");
        let peer = std::net::TcpStream::connect(address).expect("a listener");
        let (stream, from) = listener.accept().await.expect("the connection");
        assert_eq!(from, peer.local_addr().expect("bound"));
        assert_eq!(stream.peer_addr().expect("connected"), from);
    });
}

#[test]
fn a_dropped_recv_keeps_its_bytes() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        poll_and_drop(ours.recv(Vec::with_capacity(16)));
        theirs.write_all(b"kept").expect("room");
        let mut later = [0; 4];
        ours.read_exact(&mut later).await.expect("bytes");
        assert_eq!(&later, b"kept");
        theirs.write_all(b"owned").expect("room");
        let (count, buf) = ours.recv(Vec::with_capacity(16)).await;
        assert_eq!((count.expect("bytes"), &buf[..]), (5, &b"owned"[..]));
    });
}

#[test]
fn peek_leaves_it_there() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(b"seen").expect("room");
        let mut buf = [0; 8];
        assert_eq!(ours.peek(&mut buf).await.expect("bytes"), 4);
        assert_eq!(ours.peek(&mut buf[..2]).await.expect("bytes"), 2);
        ours.read_exact(&mut buf[..4]).await.expect("bytes");
        assert_eq!(&buf[..4], b"seen");
    });
}

#[test]
fn readable_then_try_read() {
    block_on(async {
        let (ours, mut theirs) = with_std().await;
        let mut buf = [0; 8];
        let nothing = ours.try_read(&mut buf).expect_err("nothing is there");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"now").expect("room");
        loop {
            ours.readable().await.expect("a socket");
            match ours.try_read(&mut buf) {
                Ok(count) => break assert_eq!(&buf[..count], b"now"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    });
}

/// More than all socket buffers hold, so that both directions wait for each other.
#[test]
fn full_duplex_from_two_tasks() {
    block_on(async {
        const LEN: usize = 20_000_000;
        let (mut ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let (mut read, mut write) = theirs.into_split();
            let mut buf = vec![0; 30_000];
            loop {
                let count = read.read(&mut buf).await.expect("bytes");
                if count == 0 {
                    return;
                }
                write.write_all(&buf[..count]).await.expect("room");
            }
        });
        let (read, write) = ours.split();
        let sent: Vec<u8> = (0..LEN).map(|n| (n % 251) as u8).collect();
        let writing = async {
            write.write_all(&sent).await.expect("room");
            write.shutdown().await.expect("connected");
        };
        let mut got = Vec::new();
        let reading = read.read_to_end(&mut got);
        let ((), count) = futures::join!(writing, reading);
        assert_eq!(count.expect("all of it"), LEN);
        assert!(got == sent, "bytes were lost, doubled or mixed up");
        echo.await.expect("no panic");
    });
}

#[test]
fn two_readers_are_served_in_order() {
    block_on(async {
        let (ours, mut theirs) = with_std().await;
        let ours = std::rc::Rc::new(ours);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let ours = std::rc::Rc::clone(&ours);
                ringspun::spawn(async move {
                    let (count, buf) = ours.recv(Vec::with_capacity(1)).await;
                    assert_eq!(count.expect("a byte"), 1);
                    buf[0]
                })
            })
            .collect();
        ringspun::task::yield_now().await;
        theirs.write_all(b"abc").expect("room");
        let mut got = Vec::new();
        for reader in readers {
            got.push(reader.await.expect("no panic"));
        }
        assert_eq!(got, b"abc");
    });
}

#[test]
fn an_owned_send_outlives_its_stream() {
    block_on(async {
        let (ours, mut theirs) = with_std().await;
        // More than fits, so that the send is under way when the stream goes.
        let bytes = vec![7_u8; 8_000_000];
        poll_and_drop(ours.send(bytes));
        drop(ours);
        let reader = ringspun::spawn_blocking(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).map(|_| got.len())
        });
        assert_eq!(reader.await.expect("no panic").expect("no reset"), 8_000_000);
    });
}

#[test]
fn into_std_with_bytes_held() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        let mut buf = [0; 2];
        poll_and_drop(ours.read(&mut buf));
        theirs.write_all(b"abcd").expect("room");
        assert_eq!(ours.read(&mut buf).await.expect("bytes"), 2);
        let error = match ours.into_std() {
            // Without a pool the bytes stay in the socket.
            Ok(mut std) => {
                std.set_nonblocking(false).expect("a socket");
                std.read_exact(&mut buf).expect("bytes");
                return assert_eq!(&buf, b"cd");
            }
            Err(error) => error,
        };
        let ours = error.into_stream().expect("whole");
        let (_std, bytes) = ours.into_parts().expect("descriptors");
        assert_eq!(bytes, b"cd");
    });
}

#[test]
fn connect_to_nobody() {
    block_on(async {
        let free: SocketAddr = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("bound")
        };
        let error = TcpStream::connect(free).await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let alive = listener.local_addr().expect("bound");
        let both = [free, alive];
        let stream = TcpStream::connect(&both[..]).await.expect("the second");
        assert_eq!(stream.peer_addr().expect("connected"), alive);
        let name = ("localhost", alive.port());
        TcpStream::connect(name).await.expect("by name");
        let bad = TcpStream::connect("no-port").await.expect_err("no port");
        assert_eq!(bad.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_socket_set_up_by_hand() {
    block_on(async {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(8).expect("bound");
        let address = listener.local_addr().expect("bound");
        let stream = TcpSocket::new_v4().expect("a socket").connect(address).await;
        let stream = stream.expect("a listener");
        stream.set_nodelay(true).expect("an option");
        assert!(stream.nodelay().expect("an option"));
        stream.set_ttl(42).expect("an option");
        assert_eq!(stream.ttl().expect("an option"), 42);
        stream.close().await.expect("closed");
    });
}

#[test]
fn linger_does_not_hold_the_core() {
    block_on(async {
        let (mut ours, _theirs) = with_std().await;
        ours.set_linger(Some(Duration::from_secs(20))).expect("an option");
        // Fill the peer's buffers, so that the close has something to wait for.
        while let Ok(Ok(())) =
            ringspun::time::timeout(Duration::from_millis(20), ours.write_all(&[0; 100_000])).await
        {
        }
        let begun = std::time::Instant::now();
        drop(ours);
        ringspun::time::sleep(Duration::from_millis(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "the close held the core");
    });
}

#[test]
fn owned_faces() {
    block_on(async {
        let (ours, theirs) = pair().await;
        let (sent, bufs) = ours.send_vectored((b"ab".to_vec(), b"cdef".to_vec())).await;
        assert_eq!(sent.expect("room"), 6);
        assert_eq!(bufs.1, b"cdef");
        let room = [Vec::with_capacity(4), Vec::with_capacity(4)];
        let (count, bufs) = theirs.recv_vectored(room).await;
        assert_eq!(count.expect("bytes"), 6);
        assert_eq!((&bufs[0][..], &bufs[1][..]), (&b"abcd"[..], &b"ef"[..]));
        let (sent, buf) = theirs.send_zc(vec![9; 100_000]).await;
        assert_eq!((sent.expect("room"), buf.len()), (100_000, 100_000));
        let mut got = 0;
        while got < 100_000 {
            let pooled = ours.recv_pooled().await.expect("bytes");
            assert!(!pooled.is_empty() && pooled.iter().all(|byte| *byte == 9));
            got += pooled.len();
        }
        poll_and_drop(ours.recv_vectored([Vec::with_capacity(2), Vec::with_capacity(9)]));
        assert_eq!(theirs.send("kept").await.0.expect("room"), 4);
        let (count, bufs) =
            ours.recv_vectored([Vec::with_capacity(1), Vec::with_capacity(9)]).await;
        assert_eq!(count.expect("bytes"), 4);
        assert_eq!((&bufs[0][..], &bufs[1][..]), (&b"k"[..], &b"ept"[..]));
    });
}

/// The numbers 0, 1, 2 ... as bytes, by a thread, until `len` are written.
fn numbered(mut peer: std::net::TcpStream, len: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        peer.write_all(&bytes).expect("room");
    })
}

#[test]
fn a_stream_of_buffers() {
    const LEN: usize = 10_000_000;
    // With a pool that is too small it starves, and goes on without.
    for large in [16, 1] {
        let pool = ringspun::runtime::BufferPool::new().large(65_536, large);
        let runtime = crate::support::builder().buffer_pool(pool).build().expect("a ring");
        runtime.block_on(async {
            let (ours, theirs) = with_std().await;
            let writer = numbered(theirs, LEN);
            let (mut read, _write) = ours.into_split();
            let mut next = 0_usize;
            let mut kept = Vec::new();
            let mut stream = read.recv_stream().window(4);
            while let Some(buf) = stream.next().await {
                let buf = buf.expect("bytes");
                assert!(!buf.is_empty());
                for byte in &buf[..] {
                    assert_eq!(*byte, (next % 251) as u8);
                    next += 1;
                }
                // A reader that keeps some.
                kept.push(buf);
                if kept.len() > 8 {
                    kept.clear();
                }
            }
            assert_eq!(next, LEN);
            assert!(stream.next().await.is_none());
            writer.join().expect("no panic");
        });
    }
}

#[test]
fn a_dropped_stream_of_buffers_loses_nothing() {
    const LEN: usize = 5_000_000;
    block_on(async {
        let (ours, theirs) = with_std().await;
        let writer = numbered(theirs, LEN);
        let (mut read, _write) = ours.into_split();
        let mut next = 0_usize;
        let mut check = |bytes: &[u8]| {
            for byte in bytes {
                assert_eq!(*byte, (next % 251) as u8);
                next += 1;
            }
            next
        };
        let mut buf = vec![0; 10_000];
        loop {
            let mut stream = read.recv_stream().window(2);
            for _ in 0..3 {
                if let Some(buf) = stream.next().await {
                    check(&buf.expect("bytes"));
                }
            }
            if let Poll::Ready(Some(buf)) = futures::poll!(pin!(stream.next())) {
                check(&buf.expect("bytes"));
            }
            drop(stream);
            let count = read.read(&mut buf).await.expect("bytes");
            if check(&buf[..count]) == LEN {
                break;
            }
        }
        writer.join().expect("no panic");
    });
}

/// A stream that always has bytes, or room, does not keep the core for itself.
#[test]
fn a_busy_stream_gives_way() {
    for reads in [true, false] {
        block_on(async move {
            let (mut ours, mut theirs) = with_std().await;
            let peer = std::thread::spawn(move || {
                let mut block = vec![1; 1 << 20];
                if reads {
                    while theirs.write_all(&block).is_ok() {}
                } else {
                    while matches!(theirs.read(&mut block), Ok(1..)) {}
                }
            });
            let beats = std::rc::Rc::new(std::cell::Cell::new(0));
            let counted = std::rc::Rc::clone(&beats);
            let heart = ringspun::spawn(async move {
                loop {
                    ringspun::time::sleep(Duration::from_millis(1)).await;
                    counted.set(counted.get() + 1);
                }
            });
            let begun = std::time::Instant::now();
            let mut buf = vec![0; if reads { 8192 } else { 256 }];
            while begun.elapsed() < Duration::from_millis(300) {
                if reads {
                    ours.read(&mut buf).await.expect("bytes");
                } else {
                    ours.write_all(&buf).await.expect("room");
                }
            }
            heart.abort();
            drop(ours);
            peer.join().expect("no panic");
            assert!(beats.get() >= 5, "only {} beats in 300 ms, reads: {reads}", beats.get());
        });
    }
}

#[test]
fn a_dropped_read_to_string_gives_back() {
    block_on(async {
        let (mut ours, mut theirs) = with_std().await;
        theirs.write_all(b"half ").expect("room");
        let mut text = String::new();
        for _ in 0..5 {
            let first =
                ringspun::time::timeout(Duration::from_millis(1), ours.read_to_string(&mut text));
            assert!(first.await.is_err());
        }
        theirs.write_all(b"and half").expect("room");
        drop(theirs);
        assert_eq!(ours.read_to_string(&mut text).await.expect("text"), 13);
        assert_eq!(text, "half and half");
    });
}
