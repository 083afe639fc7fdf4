//! Operations: one file per opcode, and the futures that carry them.
//!
//! ```text
//!  Read {fd, buf, offset} --prepare--> Sqe --> ring --> kernel
//!         |                                               |
//!  Submission<Read> <---- complete(self, Completion) <----+
//! ```
//!
//! An op is a plain struct that owns all that the kernel will touch, with two functions: `prepare`
//! describes the entry, `complete` reads the answer. It knows no task and no runtime. An op is one
//! entry; an operation of several is a chain: [`link()`].
//!
//! # Promises
//!
//! - **O1** Whatever the kernel does because of the entry, until its last completion, touches only
//!   memory that the op owns behind a pointer that stays when the op moves, or `'static` memory,
//!   and only descriptors that the op keeps open; it posts completions to this ring only as the
//!   answer to itself.
//! - **O2** The op lives in its future until that is dropped, then in the ring.
//! - **O3** `complete` runs at most once; exactly once if the op was submitted and its ring was
//!   drained.
//! - **O4** The descriptor stays open while the op lives.
//! - **O5** The ring owns `user_data` and the flags LINK, HARDLINK, DRAIN and CQE_SKIP_SUCCESS, and
//!   clears what `prepare` set.
//! - **O6** From `prepare` to the last completion the op is kept as `MaybeUninit` and is not
//!   touched: a moved `Box` or `&mut` would end the kernel's pointer.
//! - **O7** The entry of a `MultiOp` points to no memory that `item` or a move of the op could
//!   claim for itself: none, or memory behind a raw pointer or a shared owner.
//!
//! # Safety
//!
//! Here the traits are declared; nothing unsafe is done.

#![allow(unsafe_code)]

mod accept;
mod accept_multi;
mod bind;
mod buf_group;
mod cancel;
mod cancel_fd;
mod close;
mod connect;
mod control;
mod detach;
mod epoll_ctl;
mod f_get_xattr;
mod f_set_xattr;
mod fadvise;
mod fallocate;
mod fd;
mod fsync;
mod ftruncate;
mod get_xattr;
mod keep;
mod link;
mod link_at;
mod link_timeout;
mod listen;
mod message;
mod mkdir_at;
mod multishot;
mod nop;
#[allow(dead_code, reason = "each is used by one layer above or another")]
pub(crate) mod now;
#[allow(dead_code, reason = "each is used by one layer above or another")]
pub(crate) mod now_message;
mod open_at;
mod open_at2;
mod path;
mod pipe;
mod poll_add;
mod poll_add_multi;
mod poll_remove;
mod poll_update;
mod read;
mod read_fixed;
mod read_select;
mod readv;
mod recv;
mod recv_incremental_multi;
mod recv_msg_multi;
mod recv_multi;
mod recv_select;
mod recvmsg;
mod rename_at;
mod result;
mod send;
mod send_zc;
mod sendmsg;
mod sendmsg_zc;
mod set_xattr;
mod shutdown;
mod socket;
mod splice;
mod statx;
mod submission;
mod symlink_at;
mod sync_file_range;
mod table;
mod tee;
mod timed;
mod timeout;
mod timeout_remove;
mod unlink_at;
mod wait_id;
mod write;
mod write_fixed;
mod writev;

use std::future::Future;
use std::rc::Rc;

use crate::buf::{IoBuf, IoBufMut};

pub use self::accept::{Accept, AcceptWithAddress};
pub use self::accept_multi::AcceptMulti;
pub use self::bind::Bind;
pub use self::buf_group::{BufGroup, buf_group};
pub use self::cancel::{Cancel, CancelError};
pub use self::cancel_fd::CancelFd;
pub use self::close::Close;
pub use self::connect::Connect;
pub use self::control::{Control, ControlMessage, ControlMessages, Credentials, ReceivedControl};
pub use self::epoll_ctl::{EpollCtl, EpollEvent};
pub use self::f_get_xattr::FGetXattr;
pub use self::f_set_xattr::FSetXattr;
pub use self::fadvise::Fadvise;
pub use self::fallocate::Fallocate;
pub(crate) use self::fd::FdWatch;
pub use self::fd::{CWD, Cwd, Fixed, IntoOpFd, OpFd, SharedFd, stderr, stdin, stdout};
pub use self::fsync::Fsync;
pub use self::ftruncate::Ftruncate;
pub use self::get_xattr::GetXattr;
pub(crate) use self::keep::keep_until_readable;
pub use self::link::{Chain, ChainTooLong, Link, link};
pub use self::link_at::LinkAt;
pub use self::link_timeout::LinkTimeout;
pub use self::listen::Listen;
pub use self::mkdir_at::MkdirAt;
pub use self::multishot::Multishot;
pub use self::nop::Nop;
pub use self::open_at::OpenAt;
pub use self::open_at2::OpenAt2;
pub use self::path::IntoPath;
pub use self::pipe::Pipe;
pub use self::poll_add::PollAdd;
pub use self::poll_add_multi::PollAddMulti;
pub use self::poll_remove::PollRemove;
pub use self::poll_update::PollUpdate;
pub use self::read::Read;
pub use self::read_fixed::ReadFixed;
pub use self::read_select::ReadSelect;
pub use self::readv::ReadV;
pub use self::recv::Recv;
pub use self::recv_incremental_multi::RecvIncremental;
pub use self::recv_msg_multi::{Datagram, RecvMsgMulti};
pub use self::recv_multi::RecvMulti;
pub use self::recv_select::RecvSelect;
pub use self::recvmsg::{ReceivedMessage, RecvMsg};
pub use self::rename_at::RenameAt;
pub use self::send::Send;
pub use self::send_zc::{SendZc, SendZcFixed};
pub use self::sendmsg::SendMsg;
pub use self::sendmsg_zc::SendMsgZc;
pub use self::set_xattr::SetXattr;
pub use self::shutdown::Shutdown;
pub use self::socket::Socket;
pub use self::splice::Splice;
pub use self::statx::{Statx, StatxResult};
pub use self::submission::{Submission, submit};
pub(crate) use self::submission::{has_file_limit, submit_file};
pub use self::symlink_at::SymlinkAt;
pub use self::sync_file_range::SyncFileRange;
pub use self::table::{Class, Fault, OPCODES, OpcodeRow};
pub use self::tee::Tee;
pub use self::timed::Timed;
pub use self::timeout::{Timeout, TimeoutEnd};
pub use self::timeout_remove::TimeoutRemove;
pub use self::unlink_at::UnlinkAt;
pub use self::wait_id::{ExitInfo, WaitId};
pub use self::write::Write;
pub use self::write_fixed::WriteFixed;
pub use self::writev::WriteV;
pub(crate) use crate::ring::affinity::unpinned;
pub use crate::ring::kernel::Sqe;
pub(crate) use crate::ring::kernel::{EventFd, children, inherited, signals};
use crate::ring::{self, Ring};
pub use crate::ring::{BufClass, Completion, OpId, PooledBuf};

/// What to ask of the kernel and how to read its answer: an operation of one entry.
///
/// Implement it for operations that this crate lacks, or to set fields that its own ops do not
/// offer; [`submit`] makes the future.
///
/// # Safety
///
/// The implementer promises O1 of the [module](self) for what `prepare` returns: until the last
/// completion the kernel touches, because of this entry, only memory that `self` owns behind a
/// pointer that stays when `self` moves (or `'static` memory) and only descriptors that `self`
/// keeps open, and it posts completions to this ring only as the answer to this entry. Entries that
/// can do harm without a pointer (closing a foreign descriptor, `MSG_RING`, `MADVISE`, buffer
/// selection from a group) count.
///
/// # Examples
///
/// A no-op that answers with a number of its own:
///
/// ```
/// use ringspun::op::{Completion, Op, Sqe};
///
/// struct Echo(i32);
///
/// // SAFETY: O1: the entry of a NOP has no pointer and names no descriptor.
/// unsafe impl Op for Echo {
///     type Output = i32;
///
///     fn prepare(&mut self) -> Sqe {
///         let mut sqe = Sqe::new(0); // IORING_OP_NOP
///         sqe.op_flags = 1; // IORING_NOP_INJECT_RESULT, Linux 6.10
///         sqe.len = self.0 as u32;
///         sqe
///     }
///
///     unsafe fn complete(self, completion: Completion) -> i32 {
///         completion.raw_result()
///     }
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Builder::new().build()?;
/// let answer = runtime.block_on(ringspun::op::submit(Echo(7)));
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
pub unsafe trait Op: 'static {
    /// What the future resolves to.
    type Output;

    /// Whether the op may be submitted once more when a signal came between (`EINTR`) and nobody
    /// had asked for its end. Not for ops that may have done part of their work then.
    const RESTARTABLE: bool = true;

    /// Describes the operation. Called once, before anything is borrowed or taken from the ring;
    /// again only for a restart.
    fn prepare(&mut self) -> Sqe;

    /// Reads the answer.
    ///
    /// # Safety
    ///
    /// `completion` is the kernel's last answer to the entry that this very value prepared, or an
    /// answer without the kernel (a cancel in time, an opcode that is missing): an error then.
    unsafe fn complete(self, completion: Completion) -> Self::Output;
}

/// An operation of one entry and many answers.
///
/// # Safety
///
/// O1 and O7 of the [module](self).
pub unsafe trait MultiOp: 'static {
    /// What the stream yields.
    type Item;

    /// Describes the operation. Called once for each arming.
    fn prepare(&mut self) -> Sqe;

    /// Reads one answer. `None` ends the stream.
    ///
    /// # Safety
    ///
    /// `completion` is an answer to the entry that this very value prepared last.
    unsafe fn item(&mut self, completion: Completion) -> Option<Self::Item>;

    /// The group of pooled buffers that the entry which was prepared last selects from, and no
    /// other: that belongs to the promise. The stream waits for a buffer of it when there is none.
    #[doc(hidden)]
    fn buf_group(&self) -> Option<&BufGroup> {
        None
    }
}

/// The futures of ops that can be asked to end: what a deadline can be put on.
pub trait Interrupt: Future + Unpin + sealed::Sealed {}

pub(crate) mod sealed {
    use crate::ring::Ask;

    /// Keeps `Interrupt` to this crate.
    pub trait Sealed {
        /// Asks for the end.
        #[allow(private_interfaces, reason = "sealed: not callable from outside")]
        fn ask(&mut self, who: Ask);
    }
}

/// Address and length of what the kernel may write: from the first byte to the capacity.
#[inline]
pub(crate) fn writable<B: IoBufMut>(buf: &mut B) -> (u64, u32) {
    (buf.stable_mut_ptr() as u64, transfer_len(buf.capacity()))
}

/// Address and length of what the kernel may read: the initialised bytes.
#[inline]
pub(crate) fn readable<B: IoBuf>(buf: &B) -> (u64, u32) {
    (buf.stable_ptr() as u64, transfer_len(buf.bytes_init()))
}

/// The kernel moves at most this much at a time (`MAX_RW_COUNT`); more is a short transfer.
const TRANSFER_MAX: usize = 0x7fff_f000;

#[inline]
fn transfer_len(len: usize) -> u32 {
    len.min(TRANSFER_MAX) as u32
}

/// The entry of an op that must not run, for it was made of something the kernel would misread (a
/// path with a NUL byte, the id of an op that is gone). It names no descriptor and no memory, and
/// fails with `EBADF`: so a chain ends here, as it would for any other failure. The op's `complete`
/// then gives the op's own error instead.
#[cold]
pub(crate) fn refused() -> Sqe {
    Sqe::new(io_uring::opcode::Read::CODE)
}

#[track_caller]
pub(crate) fn current_ring() -> Rc<Ring> {
    match ring::current() {
        Some(ring) => ring,
        None => outside(),
    }
}

/// An op that waits needs its own runtime to turn the loop.
#[inline]
#[track_caller]
pub(crate) fn check_current(ring: &Rc<Ring>) {
    if !ring::is_current(ring) {
        elsewhere(ring);
    }
}

#[cold]
#[track_caller]
fn outside() -> ! {
    panic!(
        "an op was used outside a runtime: await it inside Runtime::block_on, #[ringspun::main] \
         or a spawned task, or hold the guard of Runtime::enter"
    )
}

#[cold]
#[track_caller]
fn elsewhere(ring: &Ring) -> ! {
    let id = ring.id();
    match ring::current() {
        None => panic!(
            "an op of ring {id} was polled outside its runtime: nobody would complete it. Await \
             it inside that runtime's block_on, or hold the guard of Runtime::enter"
        ),
        Some(current) => panic!(
            "an op of ring {id} was polled in the runtime of ring {}: an op stays with the ring \
             that it was first used on",
            current.id()
        ),
    }
}

#[cold]
#[track_caller]
pub(crate) fn lost(_: ring::Lost) -> ! {
    panic!(
        "the runtime of this op was shut down while the kernel still had it: its outcome will \
         never be known"
    )
}
