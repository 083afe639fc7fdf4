//! Sockets.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

mod incoming;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;
mod waiters;

/// Polls once and drops: what a `select!` does that another branch has won.
fn poll_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing was to be there yet");
}

/// Calls again while it says `WouldBlock`, which chaos may say at any time.
async fn insist<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                ringspun::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            result => return result,
        }
    }
}

/// What a future gives within a while that is long for the kernel and short for a test.
async fn poll_now<F: Future>(future: F) -> Option<F::Output> {
    ringspun::time::timeout(std::time::Duration::from_millis(20), future).await.ok()
}
