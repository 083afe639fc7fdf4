//! Pooled buffers: a group of buffers that is offered to the kernel, which chooses one when data is
//! there (`IORING_REGISTER_PBUF_RING`, Linux 5.19).
//!
//! ```text
//!          offer: an entry and the tail                completion: F_BUFFER, id
//!  BufPool ------------------------------> kernel -------------------------------> PooledBuf
//!     ^                                                                               |
//!     +------------------------------------- drop ------------------------------------+
//! ```
//!
//! An op that waits holds no buffer: so ten thousand idle connections share a few. Which buffer is
//! whose is in `book.rs`; who waits because there is none, in `waiters.rs`.
//!
//! A pool is shared by its ring, by the groups and ops that select from it, and by each buffer that
//! is out. After the ring's end buffers that are out stay readable, and are freed with the last.
//!
//! A pool of one op (`incremental.rs`) is filled piece by piece: then several `PooledBuf`s share a
//! buffer, and it goes back with the last (`pieces.rs`).
//!
//! # Safety
//!
//! P1: a buffer is offered only while nobody has it: when the pool is made, and when its only
//! `PooledBuf`, or the last of its pieces, is dropped. P2: there is one `PooledBuf` of a buffer,
//! for `Book::take` says yes once until it comes back; pieces do not overlap, for each begins where
//! the one before it ended, and the kernel goes on behind the last. P3: the memory is freed after
//! the kernel has let go of it: the ring holds the pool until it was unregistered with no op in
//! flight, and leaks it otherwise.

#![allow(unsafe_code)]

mod book;
mod incremental;
mod pieces;
mod pooled;
mod settings;
mod waiters;

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use self::book::Book;
use self::incremental::Incremental;
use self::pieces::Pieces;
pub use self::pooled::PooledBuf;
pub(crate) use self::settings::Shape;
pub use self::settings::{BufClass, BufferPool};
use self::waiters::{Place, Waiters};
use super::kernel::{BufRing, CQE_F_BUF_MORE, CQE_F_BUFFER, Kernel};
use super::{Counters, Ring};
use crate::wake::{LocalWaker, quietly};

/// The buffers of one group.
pub(crate) struct BufPool {
    ring: u32,
    memory: BufRing,
    book: Book,
    /// Of a pool that is filled piece by piece.
    pieces: Option<Pieces>,
    held_max: usize,
    /// The kernel has the group.
    open: Cell<bool>,
    waiters: RefCell<Waiters>,
    waiting: Cell<bool>,
    counters: Arc<Counters>,
}

/// What a ring has of pooled buffers.
pub(super) struct Pools {
    settings: BufferPool,
    /// Made at the first use; `None` if that failed.
    made: [OnceCell<Option<Rc<BufPool>>>; 2],
    incremental: Incremental,
    counters: Arc<Counters>,
}

impl BufPool {
    /// Maps a group and offers it to the kernel.
    fn register(
        kernel: &Kernel,
        counters: &Arc<Counters>,
        ring: u32,
        group: u16,
        shape: Shape,
        incremental: bool,
    ) -> io::Result<Rc<BufPool>> {
        let memory = BufRing::map(group, shape.count, shape.bytes)?;
        let pool = BufPool {
            ring,
            memory,
            book: Book::new(shape.count, Arc::clone(counters)),
            pieces: incremental.then(|| Pieces::new(shape.count, shape.bytes)),
            held_max: usize::from(shape.held_max),
            open: Cell::new(false),
            waiters: RefCell::default(),
            waiting: Cell::new(false),
            counters: Arc::clone(counters),
        };
        // SAFETY: P3: the ring keeps the pool.
        unsafe { kernel.register_buf_ring(&pool.memory, incremental) }?;
        pool.open.set(true);
        for id in 0..shape.count {
            pool.offer(id);
        }
        Ok(Rc::new(pool))
    }

    /// The ring it is registered with.
    #[inline]
    pub(crate) fn ring_id(&self) -> u32 {
        self.ring
    }

    /// The number by which entries name it.
    #[inline]
    pub(crate) fn group(&self) -> u16 {
        self.memory.group()
    }

    /// The size of each buffer.
    #[inline]
    pub(crate) fn buf_len(&self) -> usize {
        self.memory.size() as usize
    }

    pub(crate) fn available(&self) -> usize {
        if self.open.get() { self.book.available() } else { 0 }
    }

    /// How many buffers were ever offered: a time that passes only when one comes back.
    #[inline]
    pub(crate) fn offered(&self) -> u64 {
        self.book.offered()
    }

    /// The buffer that a completion carries, with the first `len` bytes of it. None: it carries
    /// none.
    #[inline]
    pub(crate) fn claim(self: Rc<BufPool>, flags: u32, len: usize) -> Option<PooledBuf> {
        const BUFFER_SHIFT: u32 = 16;
        let id = (flags >> BUFFER_SHIFT) as u16;
        if flags & CQE_F_BUFFER == 0 {
            return None;
        }
        if self.pieces.is_some() {
            return self.claim_piece(id, len, flags & CQE_F_BUF_MORE != 0);
        }
        if !self.book.take(id) {
            return None;
        }
        let crowded = self.book.out() > self.held_max;
        let buf = PooledBuf::taken(self, id, len);
        if crowded || len == 0 { Some(buf.into_private()) } else { Some(buf) }
    }

    /// Without a byte nothing is used up, whatever the flags say: at the end of a stream some
    /// kernels forget to say that they go on with the buffer.
    fn claim_piece(self: Rc<BufPool>, id: u16, len: usize, more: bool) -> Option<PooledBuf> {
        let bytes = u32::try_from(len).ok().filter(|bytes| *bytes > 0)?;
        let start = self.pieces.as_ref()?.take(&self.book, id, bytes, more)?;
        Some(PooledBuf::piece(self, id, start as usize, len))
    }

    /// Only its own op may select from it.
    #[inline]
    pub(crate) fn is_incremental(&self) -> bool {
        self.pieces.is_some()
    }

    /// No buffer of it will ever be filled again.
    pub(crate) fn is_spent(&self) -> bool {
        self.pieces.as_ref().is_some_and(Pieces::is_spent)
    }

    #[inline]
    fn offer(&self, id: u16) {
        let tail = self.book.offer() as u16;
        self.book.give(id);
        // SAFETY: P1: the caller had the buffer and has let go of it; there are not more buffers
        // than entries, and each is offered once at a time.
        unsafe { self.memory.write(tail, id) };
        self.memory.publish(tail.wrapping_add(1));
    }

    /// P1: called once for each `PooledBuf` of the pool, when it is dropped.
    #[inline]
    fn give_back(&self, id: u16) {
        if self.pieces.as_ref().is_some_and(|pieces| !pieces.put_back(&self.book, id)) {
            return;
        }
        if !self.open.get() {
            return self.book.give(id);
        }
        self.offer(id);
        if self.waiting.get() {
            self.call_next();
        }
    }

    /// An op found no buffer.
    pub(crate) fn count_dry(&self) {
        self.counters.buffers_empty.add(1);
    }

    /// True if the kernel certainly has no buffer: who would receive now has to wait.
    pub(crate) fn is_dry(&self) -> bool {
        self.open.get() && self.book.is_dry()
    }

    /// Waits in the queue for a buffer to come back, if there is certainly none: at its end, or at
    /// the place of a ticket that was called in vain. Answers the ticket.
    pub(crate) fn wait(&self, ticket: Option<u64>, waker: &Waker) -> Option<u64> {
        if !self.is_dry() {
            return None;
        }
        // User code, which may give a buffer back.
        let waiter = LocalWaker::new(waker);
        if !self.is_dry() {
            return None;
        }
        if !self.book.said_dry() {
            self.count_dry();
        }
        self.waiting.set(true);
        Some(self.waiters.borrow_mut().join(ticket, waiter))
    }

    /// False: the ticket was called, for there may be a buffer.
    pub(crate) fn waits_still(&self, ticket: u64, waker: &Waker) -> bool {
        if self.place(ticket, waker) == Place::WaitsOtherwise {
            let waiter = LocalWaker::new(waker);
            let old = self.waiters.borrow_mut().replace(ticket, waiter);
            drop(old);
        }
        // Clones and destructors of wakers are user code, which may give a buffer back.
        self.place(ticket, waker) != Place::Called
    }

    fn place(&self, ticket: u64, waker: &Waker) -> Place {
        self.waiters.borrow().place(ticket, waker)
    }

    /// Waits no more. Who was called and did not come lets the next one try.
    pub(crate) fn leave(&self, ticket: u64) {
        let left = self.waiters.borrow_mut().leave(ticket);
        self.note_waiting();
        match left {
            Some(waiter) => {
                // A foreign waker's destructor is user code, and this is called in a `drop`.
                let _ = quietly(|| drop(waiter));
            }
            None if self.calls() => self.call_next(),
            None => {}
        }
    }

    /// Somebody waits although the kernel may have a buffer: who was called before may have taken
    /// none, for nothing came for him.
    #[inline]
    fn calls(&self) -> bool {
        self.waiting.get() && !self.is_dry()
    }

    fn call_next(&self) {
        let waiter = self.waiters.borrow_mut().call();
        self.note_waiting();
        if let Some(waiter) = waiter {
            let _ = quietly(|| waiter.wake());
        }
    }

    fn note_waiting(&self) {
        let waiting = !self.waiters.borrow().is_empty();
        self.waiting.set(waiting);
    }

    /// From now on nothing is offered; who waits is told.
    fn close(&self) {
        self.open.set(false);
        while self.waiting.get() {
            self.call_next();
        }
    }
}

impl Pools {
    pub(super) fn new(settings: BufferPool, counters: Arc<Counters>) -> Pools {
        let made = [const { OnceCell::new() }; 2];
        Pools { settings, made, incremental: Incremental::new(), counters }
    }

    /// Those of the classes. In an incremental one only its own op can wait, and is called when a
    /// buffer comes back.
    fn each(&self) -> impl Iterator<Item = &Rc<BufPool>> {
        self.made.iter().filter_map(|made| made.get()?.as_ref())
    }

    /// The kernel lets go of the groups. `drained`: no op is left that could have chosen a buffer.
    pub(super) fn close(&self, drained: bool, unregister: impl Fn(u16) -> io::Result<()>) {
        let incremental = self.incremental.take_all();
        for pool in self.each().chain(&incremental) {
            if !pool.open.get() {
                continue;
            }
            pool.close();
            if unregister(pool.group()).is_err() || !drained {
                // P3: the kernel may write to it for ever.
                let _leaked = ManuallyDrop::new(Rc::clone(pool));
            }
        }
    }

    /// True if somebody is to be called: no time to sleep.
    #[inline]
    pub(super) fn calls(&self) -> bool {
        self.each().any(|pool| pool.calls())
    }
}

impl Ring {
    /// The pooled buffers of this class, made at their first use. `None`: this kernel has no buffer
    /// rings, there was no memory, or they are switched off; asking again does not help.
    pub(crate) fn buf_pool(&self, class: BufClass) -> Option<Rc<BufPool>> {
        let pools = &self.registered.pools;
        let made = pools.made[class as usize].get_or_init(|| {
            if pools.settings.is_off() || !self.capabilities.buf_rings {
                return None;
            }
            let shape = pools.settings.shape(class);
            let group = class as u16;
            let counters = &pools.counters;
            let register =
                |kernel: &Kernel| BufPool::register(kernel, counters, self.id, group, shape, false);
            self.with_kernel(register).ok()
        });
        made.clone()
    }

    /// An op on this ring, submitted when so many buffers had been offered, found none. False: that
    /// cannot be, so it was not for want of a buffer that it said `ENOBUFS`.
    pub(crate) fn ran_dry(&self, pool: &BufPool, offered_then: u64) -> bool {
        if pool.offered() == offered_then {
            let head = self.with_kernel(|kernel| kernel.buf_ring_head(pool.group()));
            let dry = match head {
                // One that is filled piece by piece can be waited for only if somebody has it.
                Ok(_) if pool.is_incremental() && pool.book.out() == 0 => false,
                Ok(head) => head == pool.offered() as u16,
                // Before Linux 6.8 it cannot be asked.
                Err(_) => pool.book.out() > 0,
            };
            if !dry {
                return false;
            }
            pool.book.ran_dry();
        }
        pool.count_dry();
        true
    }

    /// Calls one more of those who wait for a buffer, as long as there may be one. Once a turn, so
    /// that each can try before the next is called.
    #[inline]
    pub(super) fn call_for_buffers(&self) {
        for pool in self.registered.pools.each() {
            if pool.calls() {
                pool.call_next();
            }
        }
    }
}

impl fmt::Debug for BufPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufPool")
            .field("ring", &self.ring)
            .field("group", &self.group())
            .field("buf_len", &self.buf_len())
            .field("count", &self.memory.count())
            .field("out", &self.book.out())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.each()).entry(&self.incremental).finish()
    }
}

#[cfg(all(test, not(ringspun_model)))]
mod tests;
