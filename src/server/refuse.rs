//! Turning a connection away, politely.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::stream::Stream;
use crate::op::SharedFd;
use crate::time::timeout;

/// How long it may take to tell somebody that there is no room.
const PATIENCE: Duration = Duration::from_secs(1);
/// What a client sends meanwhile is read, up to here.
const READ_MAX: usize = 64 * 1024;

/// Says `bytes`, and the end. A socket that is closed while something unread lies in it sends a
/// reset, which may overtake what was said; so what the client sends is read, for a moment.
pub(super) async fn refuse(fd: OwnedFd, bytes: Arc<[u8]>) {
    let mut stream = Stream::from_shared(SharedFd::new(fd));
    let _ = timeout(PATIENCE, async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        let mut read = 0;
        while read < READ_MAX {
            match stream.recv_pooled().await? {
                buf if buf.is_empty() => break,
                buf => read += buf.len(),
            }
        }
        std::io::Result::Ok(())
    })
    .await;
}
