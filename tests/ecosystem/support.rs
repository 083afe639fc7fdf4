//! What the tests have in common.

use std::net::SocketAddr;
use std::time::Duration;

use ringspun::net::{TcpListener, TcpStream};
use ringspun::runtime::Runtime;

/// Against hangs only.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let limited = async {
        ringspun::time::timeout(PATIENCE, future).await.expect("the test hangs: nothing moves")
    };
    Runtime::new().expect("a ring").block_on(limited)
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// Both ends of a connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listen().await;
    let ours = TcpStream::connect(address).await.expect("a listener");
    let (theirs, _) = listener.accept().await.expect("a connection");
    (ours, theirs)
}

/// Bytes of which no two neighbourhoods look alike.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
