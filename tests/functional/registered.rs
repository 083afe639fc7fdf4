//! What is registered with a ring: buffers, files, credentials, caps of the kernel's workers, an
//! eventfd. The ops on registered buffers have files of their own.
//!
//! # Safety
//!
//! One system call that makes an eventfd, and its owner.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom, Write as _};
use std::os::fd::{FromRawFd, OwnedFd};

use ringspun::op::{
    CWD, Close, Fallocate, Fixed, Fsync, OpenAt, Read, ReadFixed, ReadV, Statx, Write, WriteFixed,
    WriteV, submit,
};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use crate::op::files::{assert_errno, dev_null};
use crate::support::{Ledger, Pipe, block_on, builder, open_fds, runtime, submit_only, until};

#[test]
fn buffers_once_at_a_time() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let bufs = ring.register_buffers(vec![b"one".to_vec(), Vec::with_capacity(10)]);
        let bufs = bufs.expect("memory");
        assert_eq!(bufs.iter().map(|buf| buf.index()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((&*bufs[0], &*bufs[1]), (b"one".as_slice(), b"".as_slice()));
        assert!(bufs[1].capacity() >= 10);
        assert_errno(ring.register_buffers(vec![vec![0]]), libc::EBUSY);
        ring.unregister_buffers().expect("there are some");
        assert_errno(ring.unregister_buffers(), libc::ENXIO);
        ring.register_buffers(vec![vec![0]]).expect("memory");
        // What is left is ordinary memory.
        assert_eq!(*bufs[0], *b"one");
    });
}

#[test]
fn buffers_that_cannot_be() {
    block_on(async {
        let ring = AsyncIoUring::current();
        for wrong in [vec![vec![1], Vec::new()], vec![vec![1]; 65_536]] {
            let error = ring.register_buffers(wrong).expect_err("it should be refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                "registered buffers: 1 to 65535 of them, each with a capacity above 0"
            );
        }
        let error = ring.register_buffers(Vec::new()).expect_err("it should be refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        ring.register_buffers(vec![vec![1]]).expect("nothing is left behind");
    });
}

#[test]
fn a_fixed_buffer_is_filled_by_hand() {
    block_on(async {
        let mut buffer = Vec::with_capacity(8);
        buffer.push(b'a');
        let capacity = buffer.capacity();
        let bufs = AsyncIoUring::current().register_buffers(vec![buffer]).expect("memory");
        let mut buf = bufs.into_iter().next().expect("one");
        assert_eq!(buf.fill_from(&[b'b'; 100]), capacity - 1);
        assert_eq!(buf.fill_from(b"more"), 0);
        assert_eq!((buf.len(), buf.capacity()), (capacity, capacity));
        buf[0] = b'c';
        assert!(buf.starts_with(b"cb"));
        assert!(format!("{buf:?}").contains("index: 0"), "{buf:?}");
        buf.clear();
        assert_eq!((buf.len(), buf.capacity()), (0, capacity));
    });
}

#[test]
fn files_in_place_of_descriptors() {
    let ledger = Ledger::open();
    let mut file = tempfile::tempfile().expect("a file");
    let duplicate: OwnedFd = file.try_clone().expect("a duplicate").into();
    block_on(async {
        let ring = AsyncIoUring::current();
        let fixed = ring.register_files(vec![dev_null(), duplicate]).expect("room");
        assert_eq!(fixed, [Fixed(0), Fixed(1)]);
        let fd = fixed[1];
        assert_eq!(submit(Write::new(fd, "0123456789", 0)).await.0.expect("room"), 10);
        assert_eq!(submit(WriteV::new(fd, ["a", "b"], 4)).await.0.expect("room"), 2);
        let (result, buf) = submit(Read::new(fd, Vec::with_capacity(4), 3)).await;
        assert_eq!((result.expect("bytes"), buf), (4, b"3ab6".to_vec()));
        let bufs = [Box::new([0; 1]), Box::new([0; 1])];
        let (result, bufs) = submit(ReadV::new(fd, bufs, Read::CURSOR)).await;
        assert_eq!((result.expect("bytes"), bufs), (2, [Box::new(*b"0"), Box::new(*b"1")]));
        submit(Fsync::new(fd, Fsync::DATASYNC)).await.expect("a disk");
        submit(Fallocate::new(fd, 0, 0, 20)).await.expect("room");
        let bufs = ring.register_buffers(vec![b"both".to_vec()]).expect("memory");
        let buf = bufs.into_iter().next().expect("one");
        let (result, buf) = submit(WriteFixed::new(fd, buf, 0)).await;
        assert_eq!(result.expect("room"), 4);
        let (result, buf) = submit(ReadFixed::new(fd, buf, 4)).await;
        assert_eq!((result.expect("bytes"), &*buf), (4, b"ab67".as_slice()));
    });
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_end(&mut text).expect("a file");
    assert_eq!(
        text,
        b"both\
        ab6789\0\0\0\0\0\0\0\0\0\0"
    );
    drop(file);
    ledger.close();
}

#[test]
fn files_once_at_a_time() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        assert_errno(ring.register_files(Vec::new()), libc::EINVAL);
        assert_errno(ring.unregister_files(), libc::ENXIO);
        ring.register_files(vec![dev_null()]).expect("room");
        assert_errno(ring.register_files(vec![dev_null()]), libc::EBUSY);
        ring.unregister_files().expect("there are some");
        assert_errno(ring.unregister_files(), libc::ENXIO);
        let (result, _) = submit(Write::new(Fixed(0), "x", 0)).await;
        assert_errno(result, libc::EBADF);
    });
    ledger.close();
}

#[test]
fn files_are_kept_by_the_kernel_alone() {
    let ledger = Ledger::open();
    block_on(async {
        let before = open_fds();
        let Pipe { reader, writer } = Pipe::new();
        let ring = AsyncIoUring::current();
        let fixed = ring.register_files(vec![writer.into()]).expect("room");
        assert_eq!(open_fds(), before + 1, "the descriptor is closed");
        submit(Write::new(fixed[0], "text", Write::CURSOR)).await.0.expect("room");
        let read = async || submit(Read::new(&reader, Vec::with_capacity(9), Read::CURSOR)).await;
        assert_eq!(read().await.1, b"text");
        ring.unregister_files().expect("there are some");
        assert_eq!(read().await.0.expect("the end: nobody writes"), 0);
    });
    ledger.close();
}

#[test]
fn files_go_with_the_runtime() {
    let ledger = Ledger::open();
    let Pipe { reader, writer } = Pipe::new();
    let runtime = runtime();
    runtime.block_on(async {
        AsyncIoUring::current().register_files(vec![writer.into()]).expect("room");
    });
    drop(runtime);
    block_on(async {
        let (result, _) = submit(Read::new(reader, Vec::with_capacity(9), Read::CURSOR)).await;
        assert_eq!(result.expect("the end: nobody writes"), 0);
    });
    ledger.close();
}

#[test]
fn files_change_places() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        assert_errno(ring.register_files_update(0, vec![Some(dev_null())]), libc::ENXIO);
        ring.register_files(vec![dev_null(), dev_null(), dev_null()]).expect("room");
        let Pipe { reader, writer } = Pipe::new();
        let changed = ring.register_files_update(1, vec![None, Some(writer.into())]);
        assert_eq!(changed.expect("three places"), 2);
        let write = async |fd| submit(Write::new(fd, "text", Write::CURSOR)).await.0;
        assert_eq!(write(Fixed(0)).await.expect("nowhere"), 4);
        assert_errno(write(Fixed(1)).await, libc::EBADF);
        assert_eq!(write(Fixed(2)).await.expect("room"), 4);
        assert_errno(write(Fixed(3)).await, libc::EBADF);
        assert_errno(write(Fixed(u32::MAX)).await, libc::EBADF);
        let read = async || submit(Read::new(&reader, Vec::with_capacity(9), Read::CURSOR)).await;
        assert_eq!(read().await.1, b"text");
        assert_errno(ring.register_files_update(3, vec![Some(dev_null())]), libc::EINVAL);
        assert_eq!(ring.register_files_update(2, vec![None]).expect("three places"), 1);
        assert_eq!(read().await.0.expect("the end: nobody writes"), 0);
    });
    ledger.close();
}

#[test]
fn a_registered_file_is_closed_by_its_index() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        let Pipe { reader, writer } = Pipe::new();
        let fixed = ring.register_files(vec![dev_null(), writer.into()]).expect("room");
        let read = async || submit(Read::new(&reader, Vec::with_capacity(9), Read::CURSOR)).await;
        submit(Close::new(fixed[1])).await.expect("it is there");
        assert_eq!(read().await.0.expect("the end: nobody writes"), 0);
        assert_errno(submit(Close::new(fixed[1])).await, libc::EBADF);
        assert_errno(submit(Close::new(Fixed(2))).await, libc::EINVAL);
        assert_errno(submit(Close::new(Fixed(u32::MAX))).await, libc::EINVAL);
        // The others are untouched.
        assert_eq!(submit(Write::new(fixed[0], "x", 0)).await.0.expect("nowhere"), 1);
    });
    ledger.close();
}

#[test]
fn an_op_in_flight_keeps_its_registered_file() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        let Pipe { reader, mut writer } = Pipe::new();
        let reader = reader.try_unwrap().expect("the only owner");
        let fixed = ring.register_files(vec![reader]).expect("room");
        let mut read = submit(Read::new(fixed[0], Vec::with_capacity(9), Read::CURSOR));
        assert!(submit_only(&mut read).await.is_pending());
        // Under chaos it may be on its way still, and then finds nothing.
        assert_eq!(ring.register_files_update(0, vec![None]).expect("one place"), 1);
        let written = writer.write_all(b"text");
        let (result, text) = read.await;
        if written.is_ok() {
            assert_eq!((result.expect("bytes"), text), (4, b"text".to_vec()));
        } else {
            assert!(std::env::var_os("RINGSPUN_CHAOS_SEED").is_some(), "it was in the kernel");
            assert_errno(result, libc::EBADF);
        }
    });
    ledger.close();
}

#[test]
fn a_registered_file_is_no_directory() {
    let ledger = Ledger::open();
    block_on(async {
        let folder: OwnedFd = File::open("/").expect("a folder").into();
        let fixed = AsyncIoUring::current().register_files(vec![folder]).expect("room");
        assert_errno(submit(OpenAt::new(fixed[0], "tmp", 0, 0)).await, libc::EBADF);
        assert_errno(submit(Statx::new(fixed[0], "tmp", 0, 0)).await, libc::EBADF);
    });
    ledger.close();
}

#[test]
fn credentials() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let one = ring.register_personality().expect("room");
        let other = ring.register_personality().expect("room");
        assert_ne!(one, other);
        ring.unregister_personality(one).expect("it is there");
        assert_errno(ring.unregister_personality(one), libc::EINVAL);
        ring.unregister_personality(other).expect("it is there");
    });
}

#[test]
fn caps_of_the_workers() {
    block_on(async {
        let ring = AsyncIoUring::current();
        assert_eq!(ring.register_io_workers((0, 0)).expect("Linux 5.15"), (4, 16));
        assert_eq!(ring.register_io_workers((2, 3)).expect("Linux 5.15"), (4, 16));
        assert_eq!(ring.register_io_workers((0, 5)).expect("Linux 5.15"), (2, 3));
        assert_eq!(ring.register_io_workers((0, 0)).expect("Linux 5.15"), (2, 5));
    });
    let runtime = builder().io_workers((1, 2)).build().expect("a ring");
    runtime.block_on(async {
        let ring = AsyncIoUring::current();
        assert_eq!(ring.register_io_workers((0, 0)).expect("Linux 5.15"), (1, 2));
    });
}

#[test]
fn places_of_the_workers() {
    block_on(async {
        let ring = AsyncIoUring::current();
        let allowed = (0..1024).find(|cpu| ring.register_io_worker_affinity(&[*cpu]).is_ok());
        assert!(allowed.is_some(), "this runs somewhere");
        let error = ring.register_io_worker_affinity(&[1024]).expect_err("beyond");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "CPU 1024 is beyond the 1024 of a cpu_set_t");
        // An open runs in a worker wherever that is.
        submit(OpenAt::new(CWD, "/dev/null", 0, 0)).await.expect("it is there");
        ring.register_io_worker_affinity(&[]).expect("it is lifted");
    });
}

#[test]
fn an_eventfd_counts_completions() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        let counter = eventfd();
        ring.register_eventfd(&counter).expect("room");
        assert_errno(ring.register_eventfd(&counter), libc::EBUSY);
        assert_errno(ring.register_eventfd_async(&counter), libc::EBUSY);
        ring.nop().await.expect("nothing can fail");
        until("it was counted", || count(&counter) > 0).await;
        ring.unregister_eventfd().expect("there is one");
        assert_errno(ring.unregister_eventfd(), libc::ENXIO);
        while count(&counter) > 0 {}
        ring.nop().await.expect("nothing can fail");
        assert_eq!(count(&counter), 0);
    });
    ledger.close();
}

#[test]
fn an_eventfd_for_what_came_late() {
    let ledger = Ledger::open();
    block_on(async {
        let ring = AsyncIoUring::current();
        let counter = eventfd();
        ring.register_eventfd_async(&counter).expect("room");
        let mut pipe = Pipe::new();
        let mut read = submit(Read::new(&pipe.reader, Vec::with_capacity(4), Read::CURSOR));
        assert!(submit_only(&mut read).await.is_pending());
        pipe.write(b"text");
        read.await.0.expect("bytes");
        ring.unregister_eventfd().expect("there is one");
        // The counter may be closed at any time: the kernel has its own hold of it.
        ring.register_eventfd_async(&counter).expect("room");
        drop(counter);
        ring.nop().await.expect("nothing can fail");
    });
    ledger.close();
}

#[test]
fn what_is_no_eventfd() {
    block_on(async {
        let ring = AsyncIoUring::current();
        assert_errno(ring.register_eventfd(dev_null()), libc::EINVAL);
        assert_errno(ring.register_eventfd_async(dev_null()), libc::EINVAL);
    });
}

#[test]
fn runtime_shut_down() {
    let ledger = Ledger::open();
    let runtime: Runtime = runtime();
    let (ring, bufs) = runtime.block_on(async {
        let ring = AsyncIoUring::current();
        let bufs = ring.register_buffers(vec![b"kept".to_vec()]).expect("memory");
        ring.register_files(vec![dev_null()]).expect("room");
        (ring, bufs)
    });
    drop(runtime);
    assert_eq!(*bufs[0], *b"kept");
    assert_closed(ring.register_buffers(vec![vec![0]]));
    assert_closed(ring.unregister_buffers());
    assert_closed(ring.register_files(vec![dev_null()]));
    assert_closed(ring.register_files_update(0, vec![None]));
    assert_closed(ring.unregister_files());
    assert_closed(ring.register_personality());
    assert_closed(ring.unregister_personality(1));
    assert_closed(ring.register_io_workers((0, 0)));
    assert_closed(ring.register_io_worker_affinity(&[0]));
    assert_closed(ring.register_eventfd(dev_null()));
    assert_closed(ring.register_eventfd_async(dev_null()));
    assert_closed(ring.unregister_eventfd());
    drop(ring);
    ledger.close();
}

#[track_caller]
fn assert_closed<T>(result: io::Result<T>) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.to_string(), "the runtime of this ring has been shut down");
}

fn eventfd() -> OwnedFd {
    // SAFETY: no pointer is passed.
    let number = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(number >= 0, "{}", io::Error::last_os_error());
    // SAFETY: just made, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// What the counter has, which is 0 from now on.
fn count(counter: &OwnedFd) -> u64 {
    let mut file = File::from(counter.try_clone().expect("a duplicate"));
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            0
        }
    }
}
