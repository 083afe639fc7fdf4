//! Groups of pooled buffers, as ops select from them.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::Completion;
use crate::ring::kernel::{IOSQE_BUFFER_SELECT, Sqe};
use crate::ring::{self, BufClass, BufPool, PooledBuf, Ring};

/// The pooled buffers of one class and one core, from which the kernel chooses when data is there.
/// Made by [`buf_group`]. Cheap to clone; stays on its thread.
///
/// An op with the group of another runtime fails with
/// [`InvalidInput`](io::ErrorKind::InvalidInput).
#[derive(Clone)]
pub struct BufGroup(Rc<BufPool>);

/// The pooled buffers of this runtime, mapped and registered at their first use.
///
/// `None`: this kernel has no buffer rings (before Linux 5.19), there was not enough (lockable)
/// memory, or they are [switched off](crate::runtime::BufferPool::off). It stays so: asking again
/// does not help. Receive into buffers of your own then.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// use ringspun::op::{BufClass, buf_group};
///
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     if let Some(group) = buf_group(BufClass::Small) {
///         assert_eq!((group.available(), group.buf_len()), (256, 4096));
///     }
/// });
/// # Ok(())
/// # }
/// ```
#[must_use]
#[track_caller]
pub fn buf_group(class: BufClass) -> Option<BufGroup> {
    BufGroup::of(&super::current_ring(), class)
}

impl BufGroup {
    pub(crate) fn of(ring: &Ring, class: BufClass) -> Option<BufGroup> {
        ring.buf_pool(class).map(BufGroup)
    }

    /// How many buffers the kernel can still take, as far as completions were read. 0 after the end
    /// of the runtime.
    #[must_use]
    pub fn available(&self) -> usize {
        self.0.available()
    }

    /// The size of each buffer.
    #[must_use]
    pub fn buf_len(&self) -> usize {
        self.0.buf_len()
    }

    /// A group of buffers that are filled piece by piece, for one op: see `claim_piece`.
    pub(super) fn open(ring: &Ring, count: u16, bytes: u32) -> io::Result<BufGroup> {
        ring.open_incremental(count, bytes).map(BufGroup)
    }

    /// Its op has come to its end.
    pub(super) fn close(&self, ring: &Ring) {
        ring.close_incremental(&self.0);
    }

    /// No buffer of it will ever be filled again.
    pub(super) fn is_spent(&self) -> bool {
        self.0.is_spent()
    }

    /// Whether any op that is prepared now may select from it: only on its own ring (O1), and not
    /// from the group of another op.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        !self.0.is_incremental() && self.is_of_this_ring()
    }

    #[inline]
    pub(super) fn is_of_this_ring(&self) -> bool {
        ring::current().is_some_and(|ring| ring.id() == self.0.ring_id())
    }

    /// Lets the kernel choose.
    #[inline]
    pub(super) fn select(&self, sqe: &mut Sqe) {
        sqe.flags |= IOSQE_BUFFER_SELECT;
        sqe.buf_index = self.0.group();
    }

    /// What an op has received, which selected from this group. A buffer that comes with an error
    /// goes back.
    #[inline]
    pub(super) fn receive(self, completion: Completion) -> io::Result<PooledBuf> {
        let (result, flags) = (completion.raw_result(), completion.flags());
        if result < 0 {
            return Err(self.fail(completion));
        }
        match self.0.claim(flags, result as usize) {
            Some(buf) => Ok(buf),
            None if result == 0 => Ok(PooledBuf::default()),
            None => Err(unnamed()),
        }
    }

    #[cold]
    fn fail(&self, completion: Completion) -> io::Error {
        if completion.raw_result() == -libc::ENOBUFS {
            self.0.count_dry();
        }
        self.reclaim(&completion);
        match completion.into_result() {
            Err(error) => error,
            Ok(_) => unnamed(),
        }
    }

    /// Takes back what a completion brings that nobody will read.
    #[cold]
    pub(super) fn reclaim(&self, completion: &Completion) {
        drop(Rc::clone(&self.0).claim(completion.flags(), 0));
    }

    /// How many buffers were ever offered.
    pub(super) fn offered(&self) -> u64 {
        self.0.offered()
    }

    /// Whether it was for want of a buffer that an op said `ENOBUFS`, which was submitted when so
    /// many had been offered.
    pub(super) fn ran_dry(&self, ring: &Ring, offered_then: u64) -> bool {
        ring.id() == self.0.ring_id() && ring.ran_dry(&self.0, offered_then)
    }

    /// Waits in the queue for a buffer, if there is certainly none: at its end, or at the place of
    /// a ticket that was called in vain. Answers the ticket.
    pub(super) fn wait(&self, ticket: Option<u64>, waker: &Waker) -> Option<u64> {
        if self.is_of_this_ring() { self.0.wait(ticket, waker) } else { None }
    }

    /// False: it was called, for there may be a buffer.
    pub(super) fn waits_still(&self, ticket: u64, waker: &Waker) -> bool {
        self.0.waits_still(ticket, waker)
    }

    /// Waits no more.
    pub(super) fn leave(&self, ticket: u64) {
        self.0.leave(ticket);
    }
}

/// The error of an op that was prepared on another ring than its group's.
#[cold]
pub(super) fn foreign() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "this group of buffers belongs to another runtime: take the one of op::buf_group",
    )
}

/// Bytes have come, but not into a buffer of the group that was not somebody's already, or more
/// than were left in it.
#[cold]
fn unnamed() -> io::Error {
    io::Error::other("the kernel named no buffer of the group with room for what it received")
}

impl fmt::Debug for BufGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BufGroup").field(&self.0).finish()
    }
}
