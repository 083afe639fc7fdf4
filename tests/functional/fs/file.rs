//! `File`: positional reads and writes, and what is done to it as a whole.

use std::fs::{FileTimes, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use ringspun::buf::IoBuf;
use ringspun::fs::{Advice, File, TransferError};
use ringspun::op::{self, submit};

use super::{Folder, kind, pattern, start_and_drop, text};
use crate::support::{Ledger, block_on};

async fn read_write(folder: &Folder, name: &str) -> File {
    let mut options = File::options();
    options.read(true).write(true).create(true).open(folder.at(name)).await.expect("room")
}

#[test]
fn reads_at_offsets_leave_the_cursor_alone() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        for (offset, expected) in [(6, "6789"), (0, "0123"), (9, "9"), (10, ""), (99, "")] {
            let (count, buf) = file.read_at(Vec::with_capacity(4), offset).await;
            let count = count.expect("readable");
            assert!(count > 0 || expected.is_empty(), "nothing at {offset}");
            assert_eq!(buf, expected.as_bytes()[..count]);
        }
        assert_eq!(file.stream_position().await.expect("a place"), 0);
    });
}

#[test]
fn many_reads_at_a_time() {
    let folder = Folder::new();
    let path = folder.file("file", pattern(64 * 1024));
    block_on(async {
        let file = File::open(&path).await.expect("there");
        let reads = (0..64_u64).map(|n| file.read_exact_at(Box::new([0_u8; 1024]), n * 1024));
        for (n, (result, buf)) in futures::future::join_all(reads).await.into_iter().enumerate() {
            result.expect("all of it is there");
            assert_eq!(buf[..], pattern(64 * 1024)[n * 1024..][..1024]);
        }
    });
}

#[test]
fn writes_at_offsets() {
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        file.write_all_at("world", 6).await.0.expect("room");
        file.write_all_at(String::from("hello "), 0).await.0.expect("room");
        let (count, buf) = file.write_at(b"!".to_vec().slice(..), 11).await;
        assert_eq!((count.expect("room"), &buf[..]), (1, &b"!"[..]));
        file.write_all_at("", 100).await.0.expect("nothing to do");
        assert_eq!(text(&folder.at("file")), "hello world!");
    });
}

#[test]
fn several_buffers_in_one_operation() {
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        let (result, bufs) = file.write_all_vectored_at(["ab", "", "cde"], 1).await;
        result.expect("room");
        assert_eq!(bufs, ["ab", "", "cde"]);
        let (count, bufs) = file.write_vectored_at(("x", vec![b'y']), 0).await;
        assert!(count.expect("room") > 0);
        file.write_all_vectored_at(bufs, 0).await.0.expect("room");
        let bufs = [Vec::with_capacity(2), Vec::with_capacity(8)];
        let (count, bufs) = file.read_vectored_at(bufs, 0).await;
        let count = count.expect("readable");
        assert!(count > 0);
        assert_eq!(bufs.concat(), b"xybcde"[..count]);
        assert_eq!(bufs[0], b"xy"[..count.min(2)]);
    });
}

#[test]
fn exact_reads_and_what_they_had_when_the_file_ended() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let file = File::open(&path).await.expect("there");
        let (result, buf) = file.read_exact_at(Vec::with_capacity(10), 0).await;
        result.expect("all of it is there");
        assert_eq!(buf, b"0123456789");

        let (result, buf) = file.read_exact_at(Vec::with_capacity(10), 6).await;
        let error = result.expect_err("too short");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TransferError>());
        let inner = inner.expect("it says how much");
        assert_eq!((inner.done(), inner.total()), (4, 10));
        assert!(error.to_string().contains("read 4 of 10 bytes"), "{error}");
        assert_eq!(buf, b"6789");

        let (result, _) = file.read_exact_at(Vec::with_capacity(1), 10).await;
        assert_eq!(kind(result), ErrorKind::UnexpectedEof);
        file.read_exact_at(Vec::new(), 0).await.0.expect("nothing to do");
    });
}

#[test]
fn errors_give_the_buffer_back() {
    let folder = Folder::new();
    let path = folder.file("file", "abc");
    block_on(async {
        let file = File::open(&path).await.expect("there");
        let (result, buf) = file.write_at(vec![1, 2, 3], 0).await;
        assert_eq!(result.expect_err("read only").raw_os_error(), Some(libc::EBADF));
        assert_eq!(buf, [1, 2, 3]);
        let (result, _) = file.write_all_at("abc", 0).await;
        assert_eq!(result.expect_err("read only").raw_os_error(), Some(libc::EBADF));
        let (result, buf) = file.read_at(vec![7; 4], u64::MAX).await;
        assert_eq!((kind(result), buf), (ErrorKind::InvalidInput, vec![7; 4]));
        let (result, _) = file.write_vectored_at(["a"], 1 << 63).await;
        assert_eq!(kind(result), ErrorKind::InvalidInput);
        let (result, _) = file.read_vectored_at([vec![0]], 1 << 63).await;
        assert_eq!(kind(result), ErrorKind::InvalidInput);
        let (result, _) = file.write_at(vec![1], 1 << 63).await;
        assert_eq!(kind(result), ErrorKind::InvalidInput);
    });
}

#[test]
fn dropped_positional_operations_leak_nothing() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        for _ in 0..20 {
            let _any = start_and_drop(file.write_at(ledger.buffers.of(pattern(8192)), 0)).await;
            let _any = start_and_drop(file.read_at(ledger.buffers.empty(8192), 0)).await;
            let _any = start_and_drop(file.sync_all()).await;
            let _any = start_and_drop(file.metadata()).await;
        }
        // What it will be is not known, but each byte is one that was written.
        let (count, buf) = file.read_at(Vec::with_capacity(8192), 0).await;
        assert_eq!(buf[..], pattern(8192)[..count.expect("readable")]);
    });
    drop(folder);
    ledger.close();
}

#[test]
fn length() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let file = read_write(&folder, "file").await;
        file.set_len(4).await.expect("shorter");
        assert_eq!(text(&path), "0123");
        file.set_len(6).await.expect("longer");
        assert_eq!(text(&path), "0123\0\0");
        let reader = File::open(&path).await.expect("there");
        assert_eq!(kind(reader.set_len(0).await), ErrorKind::InvalidInput);
    });
}

#[test]
fn to_the_disk() {
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        file.write_all_at(pattern(10_000), 0).await.0.expect("room");
        file.sync_range(0, 10_000).await.expect("it is a file");
        file.sync_range(5, 0).await.expect("nothing to do");
        file.sync_data().await.expect("it is a file");
        file.sync_all().await.expect("it is a file");
        let null = File::open("/dev/null").await.expect("there");
        null.sync_all().await.expect_err("it has no disk");
        null.sync_data().await.expect_err("it has no disk");
    });
}

#[test]
fn room_and_advice() {
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        match file.allocate(0, 8192).await {
            Ok(()) => assert_eq!(file.metadata().await.expect("open").len(), 8192),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP), "{error}"),
        }
        for advice in [
            Advice::Normal,
            Advice::Random,
            Advice::Sequential,
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::NoReuse,
        ] {
            file.advise(0, 0, advice).await.expect("only advice");
        }
    });
}

#[test]
fn metadata_is_what_std_says() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    let std = std::fs::metadata(&path).expect("there");
    let ours = block_on(async { File::open(&path).await?.metadata().await }).expect("there");
    assert!(ours.is_file() && !ours.is_dir() && !ours.is_symlink());
    assert_eq!((ours.len(), ours.size()), (std.len(), std.size()));
    assert_eq!(ours.permissions(), std.permissions());
    assert_eq!(ours.modified().expect("known"), std.modified().expect("known"));
    assert_eq!(ours.accessed().expect("known"), std.accessed().expect("known"));
    assert_eq!(ours.created().ok(), std.created().ok());
    assert_eq!((ours.dev(), ours.ino(), ours.rdev()), (std.dev(), std.ino(), std.rdev()));
    assert_eq!((ours.mode(), ours.nlink()), (std.mode(), std.nlink()));
    assert_eq!((ours.uid(), ours.gid()), (std.uid(), std.gid()));
    assert_eq!((ours.blksize(), ours.blocks()), (std.blksize(), std.blocks()));
    assert_eq!((ours.atime(), ours.atime_nsec()), (std.atime(), std.atime_nsec()));
    assert_eq!((ours.mtime(), ours.mtime_nsec()), (std.mtime(), std.mtime_nsec()));
    assert_eq!((ours.ctime(), ours.ctime_nsec()), (std.ctime(), std.ctime_nsec()));
    assert_eq!(ours.as_statx().inode(), std.ino());
    assert!(format!("{ours:?}").contains("regular file"), "{ours:?}");
    assert_eq!(ours.clone().file_type(), ours.file_type());
}

#[test]
fn permissions_and_times() {
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        file.set_permissions(Permissions::from_mode(0o640)).await.expect("ours");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_times(FileTimes::new().set_accessed(then)).await.expect("ours");
        file.set_modified(then + Duration::from_secs(1)).await.expect("ours");
        let metadata = file.metadata().await.expect("open");
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.accessed().expect("known"), then);
        assert_eq!(metadata.mtime(), 1_000_000_001);
    });
}

#[test]
fn a_clone_shares_the_cursor() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let mut file = File::open(&path).await.expect("there");
        let mut clone = file.try_clone().await.expect("a descriptor");
        let mut buf = [0; 4];
        file.read_exact(&mut buf).await.expect("there");
        clone.read_exact(&mut buf).await.expect("there");
        assert_eq!(&buf, b"4567");
        assert_eq!(file.stream_position().await.expect("a place"), 8);
        drop(file);
        assert_eq!(clone.read(&mut buf).await.expect("there"), 2);
    });
}

#[test]
fn from_std_and_back_with_the_cursor() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let mut std = std::fs::File::open(&path).expect("there");
        std.seek(SeekFrom::Start(3)).expect("a file");
        let mut file = File::from_std(std);
        let mut buf = [0; 2];
        file.read_exact(&mut buf).await.expect("there");
        assert_eq!(&buf, b"34");
        let mut std = file.into_std().await;
        assert_eq!(std.stream_position().expect("a place"), 5);
        let mut file = File::from(OwnedFd::from(std));
        file.rewind().await.expect("a file");
        std = file.try_into_std().expect("nothing is in flight");
        assert_eq!(std.stream_position().expect("a place"), 0);
    });
}

#[test]
fn into_std_while_a_dropped_read_has_the_descriptor() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let file = File::open(&path).await.expect("there");
        let _any = start_and_drop(file.read_at(Vec::with_capacity(10), 0)).await;
        let std = file.into_std().await;
        assert_eq!(io::read_to_string(std).expect("open"), "0123456789");
    });
}

#[test]
fn try_into_std_waits_for_nobody() {
    let folder = Folder::new();
    let path = folder.file("file", "0123456789");
    block_on(async {
        let file = File::open(&path).await.expect("there");
        let read = submit(op::Read::new(&file, Vec::with_capacity(10), 0));
        let file = file.try_into_std().expect_err("the op has it too");
        assert!(read.await.0.expect("readable") > 0);
        file.try_into_std().expect("now it is alone");
    });
}

#[test]
fn close_tells() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    block_on(async {
        let file = read_write(&folder, "file").await;
        let number = file.as_raw_fd();
        assert_eq!(file.as_fd().as_raw_fd(), number);
        file.close().await.expect("closed");

        let mut file = read_write(&folder, "file").await;
        let _any = start_and_drop(file.write(b"abc")).await;
        file.close().await.expect("the dropped write is waited for");

        let file = read_write(&folder, "file").await;
        let read = submit(op::Read::new(&file, Vec::with_capacity(10), 0));
        assert_eq!(kind(file.close().await), ErrorKind::ResourceBusy);
        read.await.0.expect("it keeps it open");
    });
    drop(folder);
    ledger.close();
}

#[test]
fn debug() {
    let shown = block_on(async { format!("{:?}", File::open("/dev/null").await) });
    assert!(shown.contains("File") && shown.contains("fd"), "{shown}");
}
