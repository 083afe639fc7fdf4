//! What the tests of ops with pooled buffers share: pools, groups, and a kernel that may be short
//! of buffers by chance.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use ringspun::op::{BufClass, BufGroup, PooledBuf, SharedFd, buf_group};
use ringspun::runtime::{BufferPool, Runtime};

use crate::support::{PATIENCE, builder, until};

/// The small buffers of the runtime around.
pub(crate) fn group() -> BufGroup {
    buf_group(BufClass::Small).expect("this kernel has buffer rings")
}

/// A runtime with so many small buffers of `bytes`, all of which may be held.
pub(crate) fn pool_of(count: usize, bytes: usize) -> Runtime {
    with_pool(BufferPool::new().small(bytes, count).held_max(count))
}

pub(crate) fn with_pool(settings: BufferPool) -> Runtime {
    builder().buffer_pool(settings).build().expect("a ring")
}

/// What comes before patience ends.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    ringspun::time::timeout(PATIENCE, future).await.expect("this never came to be")
}

/// Long enough for whoever would spin.
pub(crate) async fn a_while() {
    ringspun::time::sleep(Duration::from_millis(30)).await;
}

/// What `receive` gives in the end, where fault injection is short of buffers.
pub(crate) async fn received<F: Future<Output = io::Result<PooledBuf>>>(
    mut receive: impl FnMut() -> F,
) -> PooledBuf {
    loop {
        match soon(receive()).await {
            Ok(buf) => return buf,
            Err(error) => assert!(is_made_up(&error), "{error}"),
        }
    }
}

/// A fault that only injection causes here.
pub(crate) fn is_made_up(error: &io::Error) -> bool {
    is_chaos() && [Some(libc::ENOBUFS), Some(libc::ENOMEM)].contains(&error.raw_os_error())
}

pub(crate) fn is_chaos() -> bool {
    std::env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}

/// Waits until the group has so many.
pub(crate) async fn until_available(group: &BufGroup, count: usize) {
    let group = group.clone();
    until("the buffers are back", move || group.available() == count).await;
}

/// Waits until no op has the descriptor any more, one that was dropped neither.
pub(crate) async fn until_alone(fd: &SharedFd) {
    let fd = fd.clone();
    until("the dropped op is gone", move || fd.owners() == 2).await;
}

/// A socket that receives datagrams, and one that is connected to it.
pub(crate) fn datagrams() -> (SharedFd, UdpSocket) {
    let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    peer.connect(ours.local_addr().expect("bound")).expect("an address");
    (SharedFd::new(ours), peer)
}
