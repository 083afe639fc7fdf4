//! Ops on a kernel that uses their pointers at completion only, for Miri.
//!
//! ```text
//!  RUSTFLAGS="--cfg ringspun_model" cargo test --test model
//!  RUSTFLAGS="--cfg ringspun_model" cargo +nightly miri test --test model
//! ```
//!
//! Each op goes through all the situations of `model/situations.rs`: moved, dropped, forgotten,
//! cancelled, late, shut down. Here are kinds of buffers and kinds of memory; the crate's own ops
//! are in `model/every_op.rs`: to add one is one line there, and the model tells if it has to be
//! taught the opcode. `model/removals.rs` has the ops that name another one.
//!
//! # Safety
//!
//! The ops of `model/ops.rs` promise O1 each at its place.

#![cfg(ringspun_model)]
#![allow(clippy::async_yields_async, clippy::type_complexity, reason = "futures that move")]
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    reason = "a test that implements unsafe traits"
)]

#[path = "model/accept_multi.rs"]
mod accept_multi;
#[path = "model/cancel_fd.rs"]
mod cancel_fd;
#[path = "model/every_op.rs"]
mod every_op;
#[path = "model/link_timeout.rs"]
mod link_timeout;
#[path = "model/lost.rs"]
mod lost;
#[path = "model/multishot.rs"]
mod multishot;
#[path = "model/ops.rs"]
mod ops;
#[path = "model/panics.rs"]
mod panics;
#[path = "model/poll_multi.rs"]
mod poll_multi;
#[path = "model/random_walk.rs"]
mod random_walk;
#[path = "model/removals.rs"]
mod removals;
#[path = "model/situations.rs"]
mod situations;
#[path = "model/support.rs"]
mod support;
#[path = "model/threads.rs"]
mod threads;
#[path = "model/writer.rs"]
mod writer;

use ringspun::buf::{AlignedBuf, IoBufMut};
use ringspun::op::{Nop, Read};

use ops::Borrowed;
use situations::{drive, drive_alike};

#[test]
fn nop() {
    drive_alike(Nop::new);
}

#[test]
fn read_vec() {
    drive_alike(|| Read::new(ops::fd(), Vec::with_capacity(8), 0));
}

#[test]
fn read_part_of_vec() {
    drive_alike(|| Read::new(ops::fd(), vec![7; 8].slice_mut(2..6), 0));
}

#[test]
fn read_boxed_slice() {
    drive(|| Read::new(ops::fd(), vec![0; 8].into_boxed_slice(), 0));
}

#[test]
fn read_boxed_array() {
    drive_alike(|| Read::new(ops::fd(), Box::new([0; 8]), 0));
}

#[test]
fn read_aligned() {
    drive_alike(|| Read::new(ops::fd(), AlignedBuf::new(8, 8), 0));
}

#[test]
fn read_boxed_dyn() {
    drive_alike(|| Read::new(ops::fd(), Box::new(vec![0; 8].into_boxed_slice()), 0));
}

#[test]
fn read_leaked() {
    drive_alike(|| ops::ReadLeaked::new(Borrowed::new(8)));
}

#[test]
fn write() {
    drive_alike(ops::Write::new);
}

#[test]
fn send_zero_copy() {
    drive(ops::SendZc::new);
}

#[test]
fn readv() {
    drive_alike(ops::Readv::new);
}

#[test]
fn recvmsg() {
    drive_alike(ops::RecvMsg::new);
}

#[test]
fn accept() {
    drive_alike(ops::Accept::new);
}

#[test]
fn connect() {
    drive_alike(ops::Connect::new);
}

#[test]
fn statx() {
    drive_alike(ops::Statx::new);
}

#[test]
fn timeout() {
    drive_alike(ops::Timeout::new);
}
