//! The low-level face: every operation of io_uring as a method, with the kernel's own names.
//!
//! ```text
//!  let ring = AsyncIoUring::current();
//!  ring.read(fd, buf, offset)                   a Submission: a future, lazy, with
//!      .timeout(d)  .id()  .cancel()            a deadline, a name, an end
//!      .await                                   (io::Result<usize>, buf)
//! ```
//!
//! # Coming from `AsyncIOUring` in Zig
//!
//! | Zig | here | what differs |
//! |---|---|---|
//! | `do(op, timeout, id)` | [`submit(op)`](AsyncIoUring::submit) | deadline and id are asked of the future |
//! | `maybe_timeout` | [`.timeout(duration)`](Submission::timeout) | a timer of the core: works for files too |
//! | `maybe_id` | [`.id()`](Submission::id) | never used again, so a late cancel finds nothing |
//! | `error.Cancelled` | `ECANCELED`, or kind `TimedOut` | told apart; `EINTR` is tried again, never seen |
//! | `*Cqe` | a value of the op's own kind | the flags are in [`Completion`](crate::op::Completion) |
//! | `read`, `write`, `recv`, `send`, ... | the same | buffers are owned, and come back with the result |
//! | `readv`, `writev` | the same | the `iovec`s are made from owned buffers |
//! | `read_fixed`, `write_fixed` | the same | a [`FixedBuf`] knows its index |
//! | `accept(fd, addr, len, flags)` | [`accept`](AsyncIoUring::accept), [`accept_with_address`](AsyncIoUring::accept_with_address) | an owned descriptor, closed on exec |
//! | `openat` | the same | likewise |
//! | `close(fd)` | the same | takes the descriptor; refuses while others own it |
//! | `timeout(ts, count, flags)` | [`timeout`](AsyncIoUring::timeout) | `ETIME` is [`TimeoutEnd::Elapsed`](crate::op::TimeoutEnd) |
//! | custom op with update | [`timeout_update`](AsyncIoUring::timeout_update) | |
//! | `cancel(id, flags)` | [`cancel(id)`](AsyncIoUring::cancel) | ops that the kernel has not seen end here; no flags |
//! | `poll_remove` | the same | works |
//! | (left out) | [`poll_update`](AsyncIoUring::poll_update), [`poll_add_multi`](AsyncIoUring::poll_add_multi), [`link`](AsyncIoUring::link) | |
//! | op of several entries | [`link`](AsyncIoUring::link) | entries are never split, each has its outcome |
//! | `ring.register_*` | the same | what is registered is owned |
//! | `AsyncWriter` | [`AsyncWriter`] | one write for each `print`, short writes go on |
//! | `run_event_loop` | [`Runtime::run_until_idle`](crate::runtime::Runtime::run_until_idle) | |
//! | `process_outstanding_events` | [`Runtime::turn`](crate::runtime::Runtime::turn) | |

mod files;
mod in_flight;
mod register;
mod sockets;
mod writer;

use std::fmt;
use std::net;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockAddr;

pub use self::in_flight::OpInfo;
pub use self::writer::{AsyncWriter, WriteError};
#[doc(hidden)]
pub use self::writer::{print_stderr, print_stdout};
use crate::buf::{IoBuf, IoBufMut, IoVectoredBuf, IoVectoredBufMut};
use crate::op::{
    Accept, AcceptWithAddress, BufClass, BufGroup, Cancel, Chain, Close, Connect, EpollCtl,
    EpollEvent, Fallocate, Fsync, IntoOpFd, IntoPath, Link, LinkAt, MkdirAt, Multishot, Nop, Op,
    OpId, OpenAt, PollAdd, PollAddMulti, PollRemove, PollUpdate, Read, ReadFixed, ReadSelect,
    ReadV, Recv, RecvIncremental, RecvMsgMulti, RecvMulti, RecvSelect, RenameAt, Send, Shutdown,
    Statx, Submission, SymlinkAt, Timeout, TimeoutRemove, UnlinkAt, Write, WriteFixed, WriteV,
};
pub use crate::ring::FixedBuf;
use crate::ring::{self, Ring};

/// The ring of a runtime, for ops by name. Cheap to clone; stays on its thread.
///
/// Each method gives a future that does nothing until it is awaited, in the runtime of this ring.
///
/// # Examples
///
/// ```
/// use ringspun::op::{CWD, Read};
/// use ringspun::uring::AsyncIoUring;
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// let text = runtime.block_on(async {
///     let ring = AsyncIoUring::current();
///     let file = ring.openat(CWD, "/proc/self/comm", 0, 0).await?;
///     let (count, buf) = ring.read(file, Vec::with_capacity(64), Read::CURSOR).await;
///     count.map(|_| buf)
/// })?;
/// assert!(text.ends_with(b"\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncIoUring {
    ring: Rc<Ring>,
}

impl AsyncIoUring {
    /// The ring of the runtime that this runs in.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[must_use]
    #[track_caller]
    pub fn current() -> AsyncIoUring {
        AsyncIoUring { ring: crate::op::current_ring() }
    }

    /// The ring of the runtime that this runs in, if there is one.
    #[must_use]
    pub fn try_current() -> Option<AsyncIoUring> {
        ring::current().map(|ring| AsyncIoUring { ring })
    }

    /// Whether this kernel has an opcode (`IORING_OP_*`).
    #[must_use]
    pub fn supports(&self, opcode: u8) -> bool {
        self.ring.supports(opcode)
    }

    /// The future of any op, also of your own: what `do` is in Zig.
    #[track_caller]
    #[inline]
    pub fn submit<T: Op>(&self, op: T) -> Submission<T> {
        Submission::new(op, Some(Rc::clone(&self.ring)))
    }

    /// A chain of ops. See [`op::link`](crate::op::link()).
    #[track_caller]
    pub fn link<C: Chain>(&self, ops: C) -> Link<C> {
        crate::op::link(ops).on(Rc::clone(&self.ring))
    }

    /// Asks for the end of an op by its name. See [`Cancel`].
    pub fn cancel(&self, id: OpId) -> Cancel {
        Cancel::on(id, Rc::clone(&self.ring))
    }

    /// Like [`accept`](AsyncIoUring::accept), with the peer's address.
    #[track_caller]
    pub fn accept_with_address(
        &self,
        fd: impl IntoOpFd,
        flags: u32,
    ) -> Submission<AcceptWithAddress> {
        self.submit(Accept::new(fd, flags).with_address())
    }

    /// Tells each time a descriptor becomes ready; `mask` is `POLL*`. See [`PollAddMulti`].
    #[track_caller]
    pub fn poll_add_multi(&self, fd: impl IntoOpFd, mask: u32) -> Multishot<PollAddMulti> {
        Multishot::on(PollAddMulti::new(fd, mask), Rc::clone(&self.ring))
    }

    /// Receives again and again into pooled buffers; `flags` are `MSG_*`. See [`RecvMulti`].
    #[track_caller]
    pub fn recv_multi(
        &self,
        fd: impl IntoOpFd,
        group: BufGroup,
        flags: u32,
    ) -> Multishot<RecvMulti> {
        Multishot::on(RecvMulti::new(fd, group, flags), Rc::clone(&self.ring))
    }

    /// Receives again and again into buffers of its own that several messages share; `flags` are
    /// `MSG_*`. See [`RecvIncremental`].
    #[track_caller]
    pub fn recv_incremental(
        &self,
        fd: impl IntoOpFd,
        buffers: u16,
        buf_len: u32,
        flags: u32,
    ) -> Multishot<RecvIncremental> {
        let op = RecvIncremental::new(fd, buffers, buf_len, flags);
        Multishot::on(op, Rc::clone(&self.ring))
    }

    /// Receives datagrams again and again into pooled buffers, with their addresses; `flags` are
    /// `MSG_*`. See [`RecvMsgMulti`].
    #[track_caller]
    pub fn recv_msg_multi(
        &self,
        fd: impl IntoOpFd,
        group: BufGroup,
        flags: u32,
    ) -> Multishot<RecvMsgMulti> {
        Multishot::on(RecvMsgMulti::new(fd, group, flags), Rc::clone(&self.ring))
    }

    /// The pooled buffers of this ring. See [`op::buf_group`](crate::op::buf_group).
    #[must_use]
    pub fn buf_group(&self, class: BufClass) -> Option<BufGroup> {
        BufGroup::of(&self.ring, class)
    }

    /// Gives a timeout a new time. See [`TimeoutRemove::update`].
    #[track_caller]
    pub fn timeout_update(
        &self,
        id: OpId,
        duration: Duration,
        flags: u32,
    ) -> Submission<TimeoutRemove> {
        self.submit(TimeoutRemove::update(id, duration, flags))
    }

    /// Reads into `buf` at `offset`, or at the cursor with [`Read::CURSOR`]. See [`Read`].
    #[track_caller]
    pub fn read<B: IoBufMut>(&self, fd: impl IntoOpFd, buf: B, offset: u64) -> Submission<Read<B>> {
        self.submit(Read::new(fd, buf, offset))
    }

    /// Writes `buf` at `offset`, or at the cursor with [`Write::CURSOR`]. See [`Write`].
    #[track_caller]
    pub fn write<B: IoBuf>(&self, fd: impl IntoOpFd, buf: B, offset: u64) -> Submission<Write<B>> {
        self.submit(Write::new(fd, buf, offset))
    }

    /// Reads into several buffers. See [`ReadV`].
    #[track_caller]
    pub fn readv<V: IoVectoredBufMut>(
        &self,
        fd: impl IntoOpFd,
        bufs: V,
        offset: u64,
    ) -> Submission<ReadV<V>> {
        self.submit(ReadV::new(fd, bufs, offset))
    }

    /// Writes several buffers. See [`WriteV`].
    #[track_caller]
    pub fn writev<V: IoVectoredBuf>(
        &self,
        fd: impl IntoOpFd,
        bufs: V,
        offset: u64,
    ) -> Submission<WriteV<V>> {
        self.submit(WriteV::new(fd, bufs, offset))
    }

    /// Reads into a registered buffer. See [`ReadFixed`].
    #[track_caller]
    pub fn read_fixed(
        &self,
        fd: impl IntoOpFd,
        buf: FixedBuf,
        offset: u64,
    ) -> Submission<ReadFixed> {
        self.submit(ReadFixed::new(fd, buf, offset))
    }

    /// Writes a registered buffer. See [`WriteFixed`].
    #[track_caller]
    pub fn write_fixed(
        &self,
        fd: impl IntoOpFd,
        buf: FixedBuf,
        offset: u64,
    ) -> Submission<WriteFixed> {
        self.submit(WriteFixed::new(fd, buf, offset))
    }

    /// Brings a file to the disk; `flags` is 0 or [`Fsync::DATASYNC`]. See [`Fsync`].
    #[track_caller]
    pub fn fsync(&self, fd: impl IntoOpFd, flags: u32) -> Submission<Fsync> {
        self.submit(Fsync::new(fd, flags))
    }

    /// Takes the next connection; `flags` are `SOCK_*`. See [`Accept`].
    #[track_caller]
    pub fn accept(&self, fd: impl IntoOpFd, flags: u32) -> Submission<Accept> {
        self.submit(Accept::new(fd, flags))
    }

    /// Connects a socket. See [`Connect`].
    #[track_caller]
    pub fn connect(&self, fd: impl IntoOpFd, address: impl Into<SockAddr>) -> Submission<Connect> {
        self.submit(Connect::new(fd, address))
    }

    /// Changes what an epoll watches; `op` is `EPOLL_CTL_*`. See [`EpollCtl`].
    #[track_caller]
    pub fn epoll_ctl(
        &self,
        epfd: impl IntoOpFd,
        fd: impl IntoOpFd,
        op: i32,
        event: Option<EpollEvent>,
    ) -> Submission<EpollCtl> {
        self.submit(EpollCtl::new(epfd, fd, op, event))
    }

    /// Receives from a connected socket; `flags` are `MSG_*`. See [`Recv`].
    #[track_caller]
    pub fn recv<B: IoBufMut>(&self, fd: impl IntoOpFd, buf: B, flags: u32) -> Submission<Recv<B>> {
        self.submit(Recv::new(fd, buf, flags))
    }

    /// Receives into a pooled buffer; `flags` are `MSG_*`. See [`RecvSelect`].
    #[track_caller]
    pub fn recv_select(
        &self,
        fd: impl IntoOpFd,
        group: BufGroup,
        flags: u32,
    ) -> Submission<RecvSelect> {
        self.submit(RecvSelect::new(fd, group, flags))
    }

    /// Reads from a pipe or a character device into a pooled buffer. See [`ReadSelect`].
    #[track_caller]
    pub fn read_select(&self, fd: impl IntoOpFd, group: BufGroup) -> Submission<ReadSelect> {
        self.submit(ReadSelect::new(fd, group))
    }

    /// Sends to a connected socket; `flags` are `MSG_*`. See [`Send`].
    #[track_caller]
    pub fn send<B: IoBuf>(&self, fd: impl IntoOpFd, buf: B, flags: u32) -> Submission<Send<B>> {
        self.submit(Send::new(fd, buf, flags))
    }

    /// Opens a file; `flags` are `O_*`. See [`OpenAt`].
    #[track_caller]
    pub fn openat(
        &self,
        dir: impl IntoOpFd,
        path: impl IntoPath,
        flags: i32,
        mode: u32,
    ) -> Submission<OpenAt> {
        self.submit(OpenAt::new(dir, path, flags, mode))
    }

    /// Closes a descriptor that has no other owner, or a registered file. See [`Close`].
    #[track_caller]
    pub fn close(&self, fd: impl IntoOpFd) -> Submission<Close> {
        self.submit(Close::new(fd))
    }

    /// Reserves, frees or shifts space of a file; `mode` is `FALLOC_FL_*`. See [`Fallocate`].
    #[track_caller]
    pub fn fallocate(
        &self,
        fd: impl IntoOpFd,
        mode: i32,
        offset: u64,
        len: u64,
    ) -> Submission<Fallocate> {
        self.submit(Fallocate::new(fd, mode, offset, len))
    }

    /// Asks for the attributes of a file. See [`Statx`].
    #[track_caller]
    pub fn statx(
        &self,
        dir: impl IntoOpFd,
        path: impl IntoPath,
        flags: i32,
        mask: u32,
    ) -> Submission<Statx> {
        self.submit(Statx::new(dir, path, flags, mask))
    }

    /// Ends a connection in one direction or both. See [`Shutdown`].
    #[track_caller]
    pub fn shutdown(&self, fd: impl IntoOpFd, how: net::Shutdown) -> Submission<Shutdown> {
        self.submit(Shutdown::new(fd, how))
    }

    /// Gives a file another name; `flags` are `RENAME_*`. See [`RenameAt`].
    #[track_caller]
    pub fn renameat(
        &self,
        old_dir: impl IntoOpFd,
        old_path: impl IntoPath,
        new_dir: impl IntoOpFd,
        new_path: impl IntoPath,
        flags: u32,
    ) -> Submission<RenameAt> {
        self.submit(RenameAt::new(old_dir, old_path, new_dir, new_path, flags))
    }

    /// Removes a name; `flags` is 0 or `AT_REMOVEDIR`. See [`UnlinkAt`].
    #[track_caller]
    pub fn unlinkat(
        &self,
        dir: impl IntoOpFd,
        path: impl IntoPath,
        flags: i32,
    ) -> Submission<UnlinkAt> {
        self.submit(UnlinkAt::new(dir, path, flags))
    }

    /// Makes a directory. See [`MkdirAt`].
    #[track_caller]
    pub fn mkdirat(
        &self,
        dir: impl IntoOpFd,
        path: impl IntoPath,
        mode: u32,
    ) -> Submission<MkdirAt> {
        self.submit(MkdirAt::new(dir, path, mode))
    }

    /// Makes `path` a symbolic link to `target`. See [`SymlinkAt`].
    #[track_caller]
    pub fn symlinkat(
        &self,
        target: impl IntoPath,
        dir: impl IntoOpFd,
        path: impl IntoPath,
    ) -> Submission<SymlinkAt> {
        self.submit(SymlinkAt::new(target, dir, path))
    }

    /// Gives a file one more name; `flags` are `AT_*`. See [`LinkAt`].
    #[track_caller]
    pub fn linkat(
        &self,
        old_dir: impl IntoOpFd,
        old_path: impl IntoPath,
        new_dir: impl IntoOpFd,
        new_path: impl IntoPath,
        flags: i32,
    ) -> Submission<LinkAt> {
        self.submit(LinkAt::new(old_dir, old_path, new_dir, new_path, flags))
    }

    /// Does nothing, through the whole machine. See [`Nop`].
    #[track_caller]
    pub fn nop(&self) -> Submission<Nop> {
        self.submit(Nop::new())
    }

    /// Waits until a descriptor is ready, once; `mask` is `POLL*`. See [`PollAdd`].
    #[track_caller]
    pub fn poll_add(&self, fd: impl IntoOpFd, mask: u32) -> Submission<PollAdd> {
        self.submit(PollAdd::new(fd, mask))
    }

    /// Takes a poll away. See [`PollRemove`].
    #[track_caller]
    pub fn poll_remove(&self, id: OpId) -> Submission<PollRemove> {
        self.submit(PollRemove::new(id))
    }

    /// Changes what a poll waits for. See [`PollUpdate`].
    #[track_caller]
    pub fn poll_update(&self, id: OpId, mask: u32) -> Submission<PollUpdate> {
        self.submit(PollUpdate::new(id, mask))
    }

    /// Waits for a time, or for `count` completions; `flags` as `Timeout` has them.
    /// See [`Timeout`].
    #[track_caller]
    pub fn timeout(&self, duration: Duration, count: u32, flags: u32) -> Submission<Timeout> {
        self.submit(Timeout::new(duration, count, flags))
    }

    /// Takes a timeout away. See [`TimeoutRemove`].
    #[track_caller]
    pub fn timeout_remove(&self, id: OpId) -> Submission<TimeoutRemove> {
        self.submit(TimeoutRemove::new(id))
    }
}

impl fmt::Debug for AsyncIoUring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncIoUring").field("ring", &self.ring.id()).finish_non_exhaustive()
    }
}
