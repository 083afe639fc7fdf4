//! Each datagram carries its number, and comes once, whole and in order.
//!
//! The peer keeps to a window, because the kernel drops what a socket has no room for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringspun::net::{UdpSocket, UnixDatagram};

use crate::support::{Core, Dice, PATIENCE, byte_at, passing, race, races};

/// So many may be on their way.
const WINDOW: u64 = 16;
const LEN_MAX: u64 = 3000;

type Send = Box<dyn Fn(&[u8]) + std::marker::Send>;

/// Each face, without the address, which was compared.
trait Socket: Sized {
    const NAME: &'static str;

    fn new() -> (Self, Send);
    async fn recv_from(&self, buf: &mut [u8]) -> io::Result<usize>;
    async fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
    async fn peek_from(&self, buf: &mut [u8]) -> io::Result<usize>;
    async fn recv_from_buf(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>);
    async fn readable(&self) -> io::Result<()>;
    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<usize>;
}

impl Socket for UdpSocket {
    const NAME: &'static str = "udp";

    fn new() -> (Self, Send) {
        let near = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let far = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        far.connect(near.local_addr().expect("bound")).expect("a socket");
        near.connect(far.local_addr().expect("bound")).expect("a socket");
        let send: Send = Box::new(move |bytes| {
            assert_eq!(far.send(bytes).expect("room"), bytes.len());
        });
        (UdpSocket::from_std(near).expect("a socket"), send)
    }

    async fn recv_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (count, from) = self.recv_from(buf).await?;
        assert_eq!(from, self.peer_addr()?);
        Ok(count)
    }

    async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf).await
    }

    async fn peek_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (count, from) = self.peek_from(buf).await?;
        assert_eq!(from, self.peer_addr()?);
        Ok(count)
    }

    async fn recv_from_buf(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (result, buf) = self.recv_from_buf(buf).await;
        (result.map(|(count, _)| count), buf)
    }

    async fn readable(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buf).map(|(count, _)| count)
    }
}

impl Socket for UnixDatagram {
    const NAME: &'static str = "unix";

    fn new() -> (Self, Send) {
        let (near, far) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        let send: Send = Box::new(move |bytes| {
            assert_eq!(far.send(bytes).expect("room"), bytes.len());
        });
        (UnixDatagram::from_std(near).expect("a socket"), send)
    }

    async fn recv_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (count, from) = self.recv_from(buf).await?;
        assert!(from.is_unnamed());
        Ok(count)
    }

    async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv(buf).await
    }

    async fn peek_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buf).await.map(|(count, _)| count)
    }

    async fn recv_from_buf(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (result, buf) = self.recv_from_buf(buf).await;
        (result.map(|(count, _)| count), buf)
    }

    async fn readable(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buf).map(|(count, _)| count)
    }
}

/// Its number, and bytes that follow from it; so many that this follows from it too.
fn datagram(number: u64) -> Vec<u8> {
    let len = if number.is_multiple_of(16) { LEN_MAX } else { 100 };
    let filler = (0..number * 31 % len).map(|place| byte_at(number + place));
    number.to_le_bytes().into_iter().chain(filler).collect()
}

/// Sends until told to stop; answers how many.
fn send_until(send: &Send, received: &AtomicU64, enough: &AtomicBool, mut dice: Dice) -> u64 {
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        if number - received.load(Ordering::Relaxed) >= WINDOW {
            std::thread::yield_now();
            continue;
        }
        send(&datagram(number));
        number += 1;
        if dice.roll(4) == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll(50)));
        }
    }
    number
}

fn race_all<S: Socket>(core: Core, share: u64) {
    let mut dice = Dice::of(&format!("datagrams of {}, {core:?}", S::NAME));
    let (socket, send) = S::new();
    let (received, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let peer = {
        let (received, enough) = (Arc::clone(&received), Arc::clone(&enough));
        let dice = dice.fork();
        std::thread::spawn(move || send_until(&send, &received, &enough, dice))
    };
    core.block_on(async {
        let races = races(share);
        for _ in 0..races {
            race_one(&socket, &received, &mut dice).await;
        }
        enough.store(true, Ordering::Relaxed);
        let sent = peer.join().expect("the peer");
        println!("{races} races, {sent} datagrams");
        let begun = Instant::now();
        while received.load(Ordering::Relaxed) < sent {
            assert!(begun.elapsed() < PATIENCE, "{received:?} of {sent} have come");
            race_one(&socket, &received, &mut dice).await;
        }
        let mut buf = [0; 64];
        let more = socket.try_recv_from(&mut buf).expect_err("that was all");
        assert_eq!(more.kind(), io::ErrorKind::WouldBlock);
    });
}

async fn race_one<S: Socket>(socket: &S, received: &AtomicU64, dice: &mut Dice) {
    let mut buf = vec![0; 8 + LEN_MAX as usize];
    let number = received.load(Ordering::Relaxed);
    let came = match dice.roll(6) {
        0 => race(dice, socket.recv_from(&mut buf)).await.and_then(passing),
        1 => race(dice, socket.recv(&mut buf)).await.and_then(passing),
        2 => {
            let peeked = race(dice, socket.peek_from(&mut buf)).await.and_then(passing);
            if let Some(count) = peeked {
                assert!(buf[..count] == datagram(number), "not what comes next");
            }
            return;
        }
        3 => {
            let owned = Vec::with_capacity(buf.len());
            match race(dice, socket.recv_from_buf(owned)).await {
                Some((result, owned)) => passing(result).inspect(|count| {
                    buf[..*count].copy_from_slice(&owned);
                }),
                None => None,
            }
        }
        // Without a rival: one that went must not have taken the wake with it.
        4 => {
            let wait = ringspun::time::timeout(PATIENCE, socket.recv_from(&mut buf));
            passing(wait.await.expect("it is told"))
        }
        _ => {
            if race(dice, socket.readable()).await.and_then(passing).is_none() {
                return;
            }
            passing(socket.try_recv_from(&mut buf))
        }
    };
    let Some(count) = came else { return };
    let expected = datagram(number);
    assert!(buf[..count] == expected, "lost, doubled, cut or out of order at {number}");
    received.store(number + 1, Ordering::Relaxed);
}

#[test]
fn of_udp() {
    race_all::<UdpSocket>(Core::Usual, 3);
    race_all::<UdpSocket>(Core::TinyQueue, 1);
}

#[test]
fn of_unix() {
    race_all::<UnixDatagram>(Core::Usual, 3);
    race_all::<UnixDatagram>(Core::NoPool, 1);
}
