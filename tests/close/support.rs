//! Pairs of which the far end is std's, and watchers that tell what it sees.

use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use ringspun::net::TcpStream;
use ringspun::runtime::{Builder, Runtime};

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn runtime() -> Runtime {
    Runtime::new().expect("a ring")
}

/// A ring whose queue is always full.
pub(crate) fn tiny(entries: u32) -> Runtime {
    Builder::new().entries(entries).build().expect("a ring")
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

/// Polls once and drops: what a `select!` does that another branch has won.
pub(crate) fn poll_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing was to be there yet");
}

/// Lets the loop turn a few times.
pub(crate) async fn turns() {
    for _ in 0..4 {
        ringspun::task::yield_now().await;
    }
    ringspun::time::sleep(Duration::from_millis(1)).await;
}

/// Two ends of a connection, both std's; reads of both give up after [`PATIENCE`].
pub(crate) fn std_pair() -> (StdStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
    let near = StdStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let (far, _) = listener.accept().expect("a connection");
    for end in [&near, &far] {
        end.set_read_timeout(Some(PATIENCE)).expect("a socket");
    }
    (near, far)
}

/// Ours and theirs.
pub(crate) fn pair() -> (TcpStream, StdStream) {
    let (near, far) = std_pair();
    (TcpStream::from_std(near).expect("a socket"), far)
}

/// The bytes, and the end or an error.
pub(crate) type Seen = (Vec<u8>, io::Result<()>);

/// Reads what comes up to the end. An error of the peer's read is the second value.
pub(crate) fn read_all(far: &mut impl Read) -> Seen {
    let mut all = Vec::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        match far.read(&mut buf) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend_from_slice(&buf[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (all, Err(error)),
        }
    }
}

/// The far end sees the end now, and nothing before it.
#[track_caller]
pub(crate) fn sees_the_end(far: &mut impl Read) {
    let (bytes, end) = read_all(far);
    end.expect("the end");
    assert_eq!(bytes, b"", "nobody sent anything");
}

/// A thread that waits for the end at the far end, and tells what it saw.
pub(crate) fn watch(
    mut far: impl Read + Send + 'static,
) -> (JoinHandle<Seen>, tokio::sync::oneshot::Receiver<()>) {
    let (tell, told) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        let seen = read_all(&mut far);
        let _ = tell.send(());
        seen
    });
    (thread, told)
}

/// Bytes that tell their place.
pub(crate) fn numbered(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place % 251) as u8 ^ (place >> 12) as u8).collect()
}

/// Shrinks the buffers, so that little fills them.
pub(crate) fn shrink(near: &StdStream, far: &StdStream) {
    socket2::SockRef::from(near).set_send_buffer_size(4096).expect("a socket");
    socket2::SockRef::from(far).set_recv_buffer_size(4096).expect("a socket");
}
