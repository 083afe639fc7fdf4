//! What an operation costs over the raw ring: no-ops and reads from the page cache, at depth 1, 32
//! and 128, beside a bare loop on the `io-uring` crate with the same set-up flags.

#![allow(unsafe_code, reason = "the raw ring and the CPU clock")]

mod support;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Instant;

use io_uring::{IoUring, opcode, squeue, types};
use ringspun::op::{self, Nop, Read, SharedFd};
use ringspun::runtime::Runtime;

use support::{Contestant, NsPerOp, compare, per_op, rounds};

const BLOCK: usize = 4096;
const FILE_BLOCKS: u64 = 4096;

fn main() -> std::io::Result<()> {
    println!("{}\n", Runtime::new()?.info());
    for depth in [1, 32, 128] {
        nops(depth)?;
    }
    let mut file = tempfile::tempfile()?;
    for _ in 0..FILE_BLOCKS {
        file.write_all(&[7; BLOCK])?;
    }
    for depth in [1, 32, 128] {
        reads(&file, depth)?;
    }
    Ok(())
}

fn raw_ring() -> std::io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_no_sqarray()
        .setup_cqsize(1024)
        .build(256)
}

/// Keeps `depth` entries in flight until `operations` are done. `entry` makes one for a lane.
fn raw_loop(
    ring: &mut IoUring,
    depth: u64,
    operations: u64,
    mut entry: impl FnMut(u64) -> squeue::Entry,
) -> NsPerOp {
    let started = Instant::now();
    let mut submitted = 0;
    let mut done = 0;
    let mut lanes: Vec<u64> = (0..depth).collect();
    while done < operations {
        let mut queue = ring.submission();
        while submitted < operations {
            let Some(lane) = lanes.pop() else { break };
            // SAFETY: the buffers of the lanes outlive the ring's use of them: each entry is
            // awaited before this function returns.
            unsafe { queue.push(&entry(lane).user_data(lane)) }.expect("the queue has room");
            submitted += 1;
        }
        drop(queue);
        ring.submit_and_wait(1).expect("enter");
        for completion in ring.completion() {
            assert!(completion.result() >= 0);
            lanes.push(completion.user_data());
            done += 1;
        }
    }
    per_op(started, operations)
}

/// Runs `operations` on `depth` tasks of one core.
fn tasks<F: Future<Output = ()> + 'static>(
    runtime: &Runtime,
    depth: u64,
    operations: u64,
    mut lane: impl FnMut(u64, u64) -> F,
) -> NsPerOp {
    let started = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> =
            (0..depth).map(|number| ringspun::spawn(lane(number, operations / depth))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    per_op(started, operations / depth * depth)
}

fn nops(depth: u64) -> std::io::Result<()> {
    let operations = if depth == 1 { 200_000 } else { 1_000_000 };
    let mut ring = raw_ring()?;
    let runtime = Runtime::new()?;
    compare(
        &format!("no-op, depth {depth}"),
        rounds(),
        vec![
            Contestant::new("raw io-uring", || {
                raw_loop(&mut ring, depth, operations, |_| opcode::Nop::new().build())
            }),
            Contestant::new("ringspun", || {
                tasks(&runtime, depth, operations, |_, count| async move {
                    for _ in 0..count {
                        op::submit(Nop::new()).await.expect("no-op");
                    }
                })
            }),
        ],
    );
    Ok(())
}

fn reads(file: &File, depth: u64) -> std::io::Result<()> {
    let operations = 100_000;
    let mut ring = raw_ring()?;
    let runtime = Runtime::new()?;
    let raw: RawFd = file.as_raw_fd();
    let shared = SharedFd::new(OwnedFd::from(file.try_clone()?));
    let mut buffers = vec![vec![0_u8; BLOCK]; depth as usize];
    let mut place = 1_u64;
    compare(
        &format!("read 4 KiB from the page cache, depth {depth}"),
        rounds(),
        vec![
            Contestant::new("raw io-uring", || {
                raw_loop(&mut ring, depth, operations, |lane| {
                    let buffer = &mut buffers[lane as usize];
                    opcode::Read::new(types::Fd(raw), buffer.as_mut_ptr(), BLOCK as u32)
                        .offset(next_block(&mut place))
                        .build()
                })
            }),
            Contestant::new("ringspun", || {
                tasks(&runtime, depth, operations, |lane, count| {
                    let fd = Rc::new(shared.clone());
                    async move {
                        let mut place = lane + 1;
                        let mut buffer = Vec::with_capacity(BLOCK);
                        for _ in 0..count {
                            let read = Read::new(&*fd, buffer, next_block(&mut place));
                            let (count, back) = op::submit(read).await;
                            assert_eq!(count.expect("read"), BLOCK);
                            buffer = back;
                        }
                    }
                })
            }),
        ],
    );
    Ok(())
}

/// Another block of the file, by a cheap generator that both sides use.
fn next_block(place: &mut u64) -> u64 {
    *place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*place >> 33) % FILE_BLOCKS * BLOCK as u64
}
