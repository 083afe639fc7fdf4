//! The kernel's worker threads are capped, for each core on its own: row B22 of the design.
//!
//! # Safety
//!
//! One system call, without arguments.

#![allow(unsafe_code)]

use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use ringspun::op::{CWD, OpenAt, Splice, submit};
use ringspun::task::JoinHandle;
use ringspun::time::sleep;

use super::support::{PATIENCE, Pipe, builder, own_files};

/// The kernel's workers that serve the ring of this thread.
fn own_workers() -> usize {
    // SAFETY: no arguments.
    let own = format!("iou-wrk-{}", unsafe { libc::gettid() });
    super::support::thread_names().iter().filter(|name| **name == own).count()
}

fn fifos(count: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a directory");
    let paths: Vec<_> = (0..count).map(|n| dir.path().join(n.to_string())).collect();
    let status = std::process::Command::new("mkfifo").args(&paths).status().expect("coreutils");
    assert!(status.success());
    (dir, paths)
}

/// Ops that hold a worker each until they are ended: opens of FIFOs that nobody writes to
/// (bounded), and splices out of empty pipes (unbounded).
fn hold_workers(fifos: &[PathBuf], pipes: &[Pipe], null: &std::fs::File) -> Vec<JoinHandle<()>> {
    // With O_CREAT the kernel does not try it without a worker.
    let flags = libc::O_RDONLY | libc::O_CREAT;
    let opens = fifos.iter().map(|path| {
        let open = submit(OpenAt::new(CWD, path, flags, 0o600));
        ringspun::spawn(async move { drop(open.await) })
    });
    let splices = pipes.iter().map(|pipe| {
        let null = ringspun::op::SharedFd::new(null.try_clone().expect("a descriptor"));
        let splice = submit(Splice::new(&pipe.reader, None, &null, None, 64, 0));
        ringspun::spawn(async move { drop(splice.await) })
    });
    opens.chain(splices).collect()
}

/// The most workers that were seen of this thread's ring; 200 ops want one. `caps` are reached.
fn most_workers(caps: (u32, u32), fifos: &[PathBuf], together: &Barrier) -> usize {
    own_files();
    let most_allowed = (caps.0 + caps.1) as usize;
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").expect("a device");
    let pipes: Vec<Pipe> = (0..100).map(|_| Pipe::new()).collect();
    let runtime = builder().io_workers(caps).build().expect("a ring");
    let most = runtime.block_on(async {
        let tasks = hold_workers(fifos, &pipes, &null);
        let mut most = 0;
        let deadline = Instant::now() + PATIENCE;
        // Until as many are there as may be, and then for a while, for more of them.
        let mut looks = 0;
        while looks < 50 && Instant::now() < deadline {
            sleep(Duration::from_millis(1)).await;
            most = most.max(own_workers());
            looks += usize::from(most >= most_allowed);
        }
        together.wait();
        most = most.max(own_workers());
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            assert!(task.await.expect_err("aborted").is_cancelled());
        }
        most
    });
    drop(runtime);
    most
}

#[test]
fn b22_two_hundred_ops_and_four_workers() {
    let (_dir, paths) = fifos(100);
    assert_eq!(most_workers((2, 2), &paths, &Barrier::new(1)), 4);
}

#[test]
fn b22_each_core_has_its_own_cap() {
    let (_dir, paths) = fifos(200);
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let (first, second) = paths.split_at(100);
        let one = scope.spawn(|| most_workers((2, 2), first, &together));
        let two = scope.spawn(|| most_workers((1, 3), second, &together));
        assert_eq!(one.join().expect("no panic"), 4);
        assert_eq!(two.join().expect("no panic"), 4);
    });
}

#[test]
fn b22_the_smallest_caps_still_serve() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = builder().io_workers((1, 2)).build().expect("a ring");
    runtime.block_on(async {
        let writes = (0..64).map(|number| {
            let path = dir.path().join(format!("{number}"));
            ringspun::spawn(async move { ringspun::fs::write(path, "content").await })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.expect("no panic").expect("written");
        }
        assert!(own_workers() <= 3);
    });
}
