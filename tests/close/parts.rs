//! Streams that go back to std.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use ringspun::net::TcpStream;

use crate::support::{block_on, numbered, pair, poll_and_drop, read_all, runtime, turns};

#[test]
fn with_a_receive_armed_and_nothing_there() {
    block_on(async {
        for owned in [false, true] {
            let (mut ours, mut far) = pair();
            match owned {
                false => poll_and_drop(ours.read(&mut [0; 8])),
                true => poll_and_drop(ours.recv(Vec::with_capacity(64))),
            }
            turns().await;
            let mut std = ours.into_std().expect("nothing is held");
            std.set_nonblocking(false).expect("a socket");
            far.write_all(b"for std").expect("room");
            let mut buf = [0; 7];
            std.read_exact(&mut buf).expect("nobody else takes them");
            assert_eq!(&buf, b"for std");
            std.write_all(b"back").expect("room");
            drop(std);
            let (bytes, end) = read_all(&mut far);
            assert_eq!((&bytes[..], end.expect("the end")), (&b"back"[..], ()));
        }
    });
}

#[test]
fn with_bytes_held() {
    block_on(async {
        let (ours, mut far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(64)));
        turns().await;
        far.write_all(b"held").expect("room");
        turns().await;
        let error = ours.into_std().expect_err("they would be lost");
        let mut ours = error.into_stream().expect("whole");
        far.write_all(b" and more").expect("room");
        let mut buf = [0; 13];
        ours.read_exact(&mut buf).await.expect("bytes");
        assert_eq!(&buf, b"held and more");
        assert!(ours.into_std().is_ok());
    });
}

#[test]
fn the_parts_are_all_of_it() {
    block_on(async {
        for round in 0..200 {
            let (ours, mut far) = pair();
            poll_and_drop(ours.recv(Vec::with_capacity(64)));
            if round % 2 == 0 {
                turns().await;
            }
            far.write_all(b"0123456789").expect("room");
            if round % 3 == 0 {
                turns().await;
            }
            let (mut std, mut bytes) = ours.into_parts().expect("whole");
            drop(far);
            std.set_nonblocking(false).expect("a socket");
            std.read_to_end(&mut bytes).expect("the rest");
            assert_eq!(bytes, b"0123456789");
        }
    });
}

#[test]
fn bytes_that_were_given_back() {
    block_on(async {
        let (mut ours, mut far) = pair();
        far.write_all(b"abc").expect("room");
        ours.readable().await.expect("bytes");
        poll_and_drop(ours.read_exact(&mut [0; 8]));
        turns().await;
        far.write_all(b"def").expect("room");
        let (mut std, mut bytes) = ours.into_parts().expect("whole");
        drop(far);
        std.set_nonblocking(false).expect("a socket");
        std.read_to_end(&mut bytes).expect("the rest");
        assert_eq!(bytes, b"abcdef");
    });
}

#[test]
fn outside_the_runtime_and_after_it() {
    for after in [false, true] {
        let runtime = runtime();
        let (ours, mut far) = pair();
        let ours = runtime.block_on(async move {
            poll_and_drop(ours.recv(Vec::with_capacity(64)));
            turns().await;
            far.write_all(b"taken").expect("room");
            far.shutdown(std::net::Shutdown::Write).expect("connected");
            if after {
                turns().await;
            }
            ours
        });
        let runtime = (!after).then_some(runtime);
        let (mut std, mut bytes) = ours.into_parts().expect("whole");
        std.set_nonblocking(false).expect("a socket");
        std.read_to_end(&mut bytes).expect("the rest");
        assert_eq!(bytes, b"taken");
        drop(runtime);
    }
}

#[test]
fn with_a_send_under_way() {
    block_on(async {
        const LEN: usize = 8 << 20;
        let (ours, far) = pair();
        poll_and_drop(ours.send(numbered(LEN)));
        turns().await;
        let (std, bytes) = ours.into_parts().expect("a descriptor");
        assert_eq!(bytes, b"");
        drop(std);
        let thread = std::thread::spawn(move || {
            let mut far = far;
            read_all(&mut far)
        });
        while !thread.is_finished() {
            ringspun::time::sleep(Duration::from_millis(1)).await;
        }
        let (bytes, end) = thread.join().expect("the reader");
        end.expect("the end");
        assert!(bytes == numbered(LEN), "the send goes on");
    });
}

#[test]
fn a_reset_is_not_dropped() {
    block_on(async {
        let (ours, far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(64)));
        turns().await;
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("a socket");
        drop(far);
        turns().await;
        // Either it is told here, or std meets it; it must not become an ordinary end.
        let told = match ours.into_parts() {
            Err(error) => error,
            Ok((mut std, _)) => std.read(&mut [0; 8]).expect_err("a reset is no end"),
        };
        assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn there_and_back_again() {
    block_on(async {
        let (mut ours, mut far) = pair();
        for round in 0..50_u8 {
            poll_and_drop(ours.read(&mut [0; 8]));
            let std = ours.into_std().expect("nothing is held");
            ours = TcpStream::from_std(std).expect("a socket");
            far.write_all(&[round]).expect("room");
            let mut buf = [0];
            ours.read_exact(&mut buf).await.expect("a byte");
            assert_eq!(buf[0], round);
        }
    });
}
