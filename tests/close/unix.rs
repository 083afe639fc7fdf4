//! The same for Unix domain sockets, where the end is the kernel's own affair: there is no linger,
//! and no port.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;

use ringspun::net::UnixStream;

use crate::support::{
    PATIENCE, block_on, numbered, poll_and_drop, read_all, runtime, sees_the_end, tiny, turns,
    watch,
};

/// More than the kernel's buffers take.
const BIG: usize = 4 << 20;

/// Ours and theirs.
fn pair() -> (UnixStream, StdStream) {
    let (near, far) = StdStream::pair().expect("a pair");
    far.set_read_timeout(Some(PATIENCE)).expect("a socket");
    (UnixStream::from_std(near).expect("a socket"), far)
}

#[test]
fn the_end_is_seen_at_once_by_a_peer_that_waits() {
    block_on(async {
        let (mut ours, far) = pair();
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        let (thread, told) = watch(far);
        drop(ours);
        told.await.expect("told");
        let (bytes, end) = thread.join().expect("the watcher");
        assert_eq!((bytes, end.expect("the end")), (Vec::new(), ()));
    });
}

#[test]
fn the_end_is_seen_whatever_is_armed() {
    block_on(async {
        for case in 0..5 {
            let (mut ours, mut far) = pair();
            match case {
                0 => poll_and_drop(ours.read(&mut [0; 8])),
                1 => poll_and_drop(ours.recv(Vec::with_capacity(8))),
                2 => poll_and_drop(ours.readable()),
                3 => poll_and_drop(ours.recv_pooled()),
                _ => {
                    let (read, _) = ours.split();
                    poll_and_drop(read.recv_stream().next());
                }
            }
            turns().await;
            drop(ours);
            turns().await;
            // The core does nothing from here on: it is blocked in this read.
            sees_the_end(&mut far);
        }
    });
}

#[test]
fn the_end_is_seen_when_nothing_turns_any_more() {
    let runtime = runtime();
    let (mut ours, mut far) = pair();
    runtime.block_on(async move {
        poll_and_drop(ours.read(&mut [0; 8]));
        turns().await;
        drop(ours);
    });
    sees_the_end(&mut far);
    drop(runtime);
}

#[test]
fn bytes_held_in_user_space_do_not_reset() {
    block_on(async {
        let (ours, mut far) = pair();
        poll_and_drop(ours.recv(Vec::with_capacity(64)));
        turns().await;
        far.write_all(b"taken").expect("room");
        turns().await;
        turns().await;
        drop(ours);
        turns().await;
        sees_the_end(&mut far);
    });
}

/// Drops a stream with a send on its way, and the runtime if it says so.
fn sends_arrive(runtime: ringspun::runtime::Runtime, with_read: bool) {
    let (mut ours, mut far) = pair();
    runtime.block_on(async move {
        if with_read {
            poll_and_drop(ours.read(&mut [0; 8]));
        }
        poll_and_drop(ours.send(numbered(BIG)));
        drop(ours);
    });
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(10));
        read_all(&mut far)
    });
    drop(runtime);
    let (bytes, end) = thread.join().expect("the reader");
    end.expect("the end");
    assert_eq!(bytes.len(), BIG);
    assert!(bytes == numbered(BIG), "in order");
}

#[test]
fn owned_sends_arrive_also_when_the_runtime_goes() {
    sends_arrive(runtime(), false);
    sends_arrive(runtime(), true);
    for entries in 1..=4 {
        sends_arrive(tiny(entries), true);
    }
}

#[test]
fn owned_sends_of_a_write_half_end_by_the_end() {
    block_on(async {
        let (ours, far) = pair();
        let (read, write) = ours.into_split();
        poll_and_drop(write.send(numbered(BIG)));
        drop(write);
        let (thread, told) = watch(far);
        told.await.expect("told");
        // The reading half lives: only a shutdown could have told the peer.
        let (bytes, end) = thread.join().expect("the watcher");
        end.expect("the end");
        assert!(bytes == numbered(BIG));
        drop(read);
    });
}

#[test]
fn close_comes_behind_owned_sends() {
    block_on(async {
        let (ours, far) = pair();
        poll_and_drop(ours.send(numbered(BIG)));
        let (thread, _told) = watch(far);
        ours.close().await.expect("closed");
        assert!(thread.join().expect("the watcher").0 == numbered(BIG));
    });
}

/// Opens, arms, drops and opens again; each pair carries its number both ways.
async fn open_and_close() {
    let mut open = Vec::new();
    for number in 0..3000_u32 {
        let (mut ours, mut far) = pair();
        match number % 4 {
            0 => poll_and_drop(ours.read(&mut [0; 4])),
            1 => poll_and_drop(ours.recv(Vec::with_capacity(4))),
            2 => poll_and_drop(ours.readable()),
            _ => poll_and_drop(ours.read_exact(&mut [0; 4])),
        }
        if number % 7 == 0 {
            turns().await;
        }
        far.write_all(&number.to_le_bytes()).expect("room");
        if number % 3 == 0 {
            // Dropped with its bytes anywhere: unread, taken, or on their way.
            open.truncate(4);
        }
        let mut buf = [0; 4];
        ours.read_exact(&mut buf).await.expect("its own bytes");
        assert_eq!(u32::from_le_bytes(buf), number);
        ours.write_all(&number.to_le_bytes()).await.expect("room");
        far.read_exact(&mut buf).expect("its own bytes");
        assert_eq!(u32::from_le_bytes(buf), number);
        poll_and_drop(ours.read(&mut [0; 4]));
        far.write_all(b"for nobody").expect("room");
        open.push((ours, far));
    }
}

#[test]
fn a_number_that_comes_again_is_never_taken_for_the_old_one() {
    block_on(open_and_close());
    tiny(2).block_on(open_and_close());
}
