//! Reads and writes that would rather fail than wait.

use std::io::{ErrorKind, Write as _};
use std::os::fd::OwnedFd;

use ringspun::buf::IoBufMut;
use ringspun::fs::{Advice, File, OpenOptions};

use super::{Folder, kind, pattern};
use crate::support::{PATIENCE, block_on};

/// The outcome, which may be `WouldBlock` now and then although nothing has to be waited for.
async fn settled<T>(mut attempt: impl AsyncFnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error)
                if error.kind() == ErrorKind::WouldBlock
                    && std::time::Instant::now() < deadline =>
            {
                ringspun::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn cached_is_read_and_cold_would_block() {
    let folder = Folder::new();
    let path = folder.file("file", pattern(1 << 20));
    block_on(async {
        let file = OpenOptions::new().read(true).nowait(true).open(&path).await.expect("there");
        file.sync_all().await.expect("a file");
        file.advise(0, 0, Advice::DontNeed).await.expect("only advice");
        // Whether the cache was really emptied is the kernel's affair.
        let (cold, buf) = file.read_at(Vec::with_capacity(4096), 512 * 1024).await;
        match cold {
            Ok(count) => assert!(buf[..] == pattern(1 << 20)[512 * 1024..][..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        std::fs::read(&path).expect("warms it");
        let warm = settled(async || file.read_at(vec![0; 4096].slice_mut(..), 0).await.0).await;
        assert!(warm.expect("cached") > 0);
    });
}

#[test]
fn borrowed_too() {
    let folder = Folder::new();
    let path = folder.file("file", pattern(4096));
    block_on(async {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(&path).await.expect("there");
        file.set_nowait(true);
        let mut buf = [0; 64];
        let count = settled(async || file.read(&mut buf).await).await.expect("cached");
        assert_eq!(buf[..count], pattern(4096)[..count]);
        // A buffered write that does not wait is not known to every file system.
        match settled(async || file.write(b"new").await).await {
            Ok(written) => {
                let place = file.stream_position().await.expect("a place");
                assert_eq!(place, (count + written) as u64);
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::WouldBlock));
            }
        }
        file.set_nowait(false);
        file.write_all(b"waits").await.expect("room");
    });
}

#[test]
fn an_empty_pipe() {
    block_on(async {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut file = File::from(OwnedFd::from(reader));
        file.set_nowait(true);
        assert_eq!(kind(file.read(&mut [0; 8]).await), ErrorKind::WouldBlock);
        assert_eq!(kind(file.read_at(vec![0; 8], 0).await.0), ErrorKind::WouldBlock);
        writer.write_all(b"there").expect("room");
        let mut buf = [0; 8];
        let count = settled(async || file.read(&mut buf).await).await.expect("bytes");
        assert_eq!(&buf[..count], b"there");
    });
}

#[test]
fn procfs_cannot_say() {
    block_on(async {
        let mut file = File::open("/proc/self/status").await.expect("procfs");
        file.set_nowait(true);
        let answer = settled(async || file.read(&mut [0; 8]).await).await;
        assert_eq!(kind(answer), ErrorKind::Unsupported);
    });
}
