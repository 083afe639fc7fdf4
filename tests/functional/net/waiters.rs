//! Several that wait for the same object.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ringspun::net::{TcpListener, UdpSocket, UnixDatagram, UnixStream};

use super::poll_and_drop;
use crate::support::{block_on, turn, until};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future that is polled by hand, and how often it was woken.
struct ByHand<F> {
    future: Pin<Box<F>>,
    count: Arc<Count>,
}

impl<F: Future> ByHand<F> {
    fn new(future: F) -> ByHand<F> {
        let mut this = ByHand { future: Box::pin(future), count: Arc::default() };
        assert!(this.poll().is_pending(), "nothing is there yet");
        this
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.count));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }

    /// Polls whenever it is woken.
    async fn finish(mut self) -> F::Output {
        let mut seen = 0;
        loop {
            until("it is woken", || self.woken() > seen).await;
            seen = self.woken();
            if let Poll::Ready(output) = self.poll() {
                return output;
            }
        }
    }
}

/// One byte of one datagram.
async fn one(socket: &UdpSocket) -> u8 {
    let mut buf = [0; 8];
    assert_eq!(socket.recv(&mut buf).await.expect("a datagram"), 1);
    buf[0]
}

async fn two_sockets() -> (UdpSocket, UdpSocket) {
    let ours = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let theirs = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    theirs.connect(ours.local_addr().expect("bound")).await.expect("an address");
    (ours, theirs)
}

#[test]
fn first_come_first_served() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let ours = Rc::new(ours);
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let ours = Rc::clone(&ours);
                ringspun::spawn(async move { one(&ours).await })
            })
            .collect();
        turn().await;
        for number in 0..5 {
            theirs.send(&[number]).await.expect("room");
        }
        for (number, waiter) in (0..5).zip(waiters) {
            assert_eq!(waiter.await.expect("no panic"), number);
        }
    });
}

#[test]
fn dropped_after_it_was_woken() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let first = ByHand::new(one(&ours));
        let second = ByHand::new(one(&ours));
        theirs.send(&[7]).await.expect("room");
        until("the first is woken", || first.woken() > 0).await;
        assert_eq!(second.woken(), 0, "not its turn");
        drop(first);
        assert_eq!(second.finish().await, 7);
    });
}

#[test]
fn dropped_in_the_line() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let first = ByHand::new(one(&ours));
        let second = ByHand::new(one(&ours));
        let third = ByHand::new(one(&ours));
        drop(second);
        theirs.send(&[1]).await.expect("room");
        theirs.send(&[2]).await.expect("room");
        assert_eq!(first.finish().await, 1);
        assert_eq!(third.finish().await, 2);
    });
}

#[test]
fn a_poller_and_a_future() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let ours = &ours;
        let mut buf = [0; 8];
        let poller = ByHand::new(std::future::poll_fn(move |cx| ours.poll_recv(cx, &mut buf)));
        let future = ByHand::new(one(ours));
        theirs.send(&[1]).await.expect("room");
        theirs.send(&[2]).await.expect("room");
        assert_eq!(future.finish().await, 1);
        assert_eq!(poller.finish().await.expect("the second"), 1);
    });
}

#[test]
fn readable_does_not_take_the_place_for_ever() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let looks = ByHand::new(ours.readable());
        let takes = ByHand::new(one(&ours));
        let looks_too = ByHand::new(ours.readable());
        theirs.send(&[1]).await.expect("room");
        looks.finish().await.expect("a datagram");
        assert_eq!(takes.finish().await, 1);
        theirs.send(&[2]).await.expect("room");
        looks_too.finish().await.expect("a datagram");
        assert_eq!(one(&ours).await, 2);
    });
}

#[test]
fn tried_before_those_that_wait() {
    block_on(async {
        let (ours, theirs) = two_sockets().await;
        let waits = ByHand::new(one(&ours));
        theirs.send(&[1]).await.expect("room");
        let mut buf = [0; 8];
        let count = super::insist(|| ours.try_recv(&mut buf)).await.expect("it");
        assert_eq!((count, buf[0]), (1, 1));
        theirs.send(&[2]).await.expect("room");
        assert_eq!(waits.finish().await, 2);
    });
}

#[test]
fn writers_stand_in_line() {
    block_on(async {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let (ours, order) = (Rc::new(ours), Rc::new(RefCell::new(Vec::new())));
        let mut filled = 0_u32;
        // Full for good, not for a moment.
        while super::poll_now(ours.send(b"fill")).await.is_some() {
            filled += 1;
        }
        let writers: Vec<_> = (0..4_u8)
            .map(|number| {
                let (ours, order) = (Rc::clone(&ours), Rc::clone(&order));
                ringspun::spawn(async move {
                    ours.send(&[number]).await.expect("room");
                    order.borrow_mut().push(number);
                })
            })
            .collect();
        turn().await;
        let mut buf = [0; 8];
        for _ in 0..filled {
            assert_eq!(theirs.recv(&mut buf).await.expect("it"), 4);
        }
        for number in 0..4_u8 {
            assert_eq!(theirs.recv(&mut buf).await.expect("it"), 1);
            assert_eq!(buf[0], number);
        }
        for writer in writers {
            writer.await.expect("no panic");
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3]);
    });
}

#[test]
fn accepts_stand_in_line() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let first = ByHand::new(listener.accept());
        let second = ByHand::new(listener.accept());
        let third = ByHand::new(listener.accept());
        let one = std::net::TcpStream::connect(address).expect("a listener");
        until("the first is woken", || first.woken() > 0).await;
        drop(first);
        let (_, peer) = second.finish().await.expect("the connection");
        assert_eq!(peer, one.local_addr().expect("bound"));
        let two = std::net::TcpStream::connect(address).expect("a listener");
        let (_, peer) = third.finish().await.expect("the connection");
        assert_eq!(peer, two.local_addr().expect("bound"));
    });
}

#[test]
fn one_that_reads_descriptors_among_others() {
    block_on(async {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut buf = [0; 1];
        poll_and_drop(ours.recv_with_fds(&mut buf));
        let first = ByHand::new(ours.recv(Vec::with_capacity(1)));
        let second = ByHand::new(ours.recv_with_fds(&mut buf));
        theirs.try_write(b"ab").or_else(|_| theirs.try_write(b"ab")).expect("room");
        assert_eq!(first.finish().await.1, b"a");
        assert_eq!(second.finish().await.expect("the second").0, 1);
        assert_eq!(&buf, b"b");
    });
}
