//! Connecting to one of several addresses: they are tried by turns, each with a start (RFC 8305).
//!
//! ```text
//!  v6 ---------------------------X
//!      250 ms  v4 -------------------> connected: the others are dropped
//!               250 ms or a failure  v6' ----
//! ```

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::op::{Connect, SharedFd, submit};
use crate::time::{Sleep, sleep};

/// How long an attempt has for itself before the next one starts.
const HEAD_START: Duration = Duration::from_millis(250);

/// A socket that is connected to one of `addresses`.
pub(super) async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<SharedFd> {
    if let [address] = addresses[..] {
        return connect_new(address).await;
    }
    let mut race = Race {
        waiting: by_turns(addresses).into(),
        running: Vec::new(),
        head_start: None,
        error: None,
    };
    poll_fn(|cx| race.poll(cx)).await
}

async fn connect_new(address: SocketAddr) -> io::Result<SharedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    connect(SharedFd::new(socket), address.into()).await
}

/// Connects this socket. If the future is dropped, the socket is closed with it.
pub(super) async fn connect(fd: SharedFd, address: SockAddr) -> io::Result<SharedFd> {
    submit(Connect::new(&fd, address)).await?;
    Ok(fd)
}

/// The families by turns; the first address leads.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().copied() else { return addresses };
    let (same, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first.is_ipv4());
    let mut turns = Vec::with_capacity(same.len() + other.len());
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    loop {
        let pair = [same.next(), other.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<SharedFd>>>>;

struct Race {
    waiting: std::collections::VecDeque<SocketAddr>,
    running: Vec<Attempt>,
    head_start: Option<Pin<Box<Sleep>>>,
    error: Option<io::Error>,
}

impl Race {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<SharedFd>> {
        loop {
            if let Some(connected) = self.poll_running(cx) {
                return Poll::Ready(Ok(connected));
            }
            let waits = self
                .head_start
                .as_mut()
                .is_some_and(|head_start| head_start.as_mut().poll(cx).is_pending());
            if waits && !self.running.is_empty() {
                return Poll::Pending;
            }
            let Some(address) = self.waiting.pop_front() else { break };
            self.running.push(Box::pin(connect_new(address)));
            self.head_start = Some(Box::pin(sleep(HEAD_START)));
        }
        match self.error.take() {
            Some(error) if self.running.is_empty() => Poll::Ready(Err(error)),
            error => {
                self.error = error;
                Poll::Pending
            }
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<SharedFd> {
        let mut index = 0;
        while let Some(attempt) = self.running.get_mut(index) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(connected)) => return Some(connected),
                Poll::Ready(Err(error)) => {
                    drop(self.running.remove(index));
                    // The first failure is that of the address that was preferred.
                    self.error.get_or_insert(error);
                    // A failure gives way at once.
                    self.head_start = None;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::by_turns;

    #[test]
    fn families_take_turns() {
        let list = |text: &str| -> Vec<std::net::SocketAddr> {
            text.split(' ').map(|address| address.parse().expect("an address")).collect()
        };
        let mixed = list("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1");
        assert_eq!(by_turns(mixed), list("[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1"));
        let one = list("1.1.1.1:1 2.2.2.2:1");
        assert_eq!(by_turns(one.clone()), one);
    }
}
