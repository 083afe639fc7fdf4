//! Entries to the kernel, completions back: one io_uring and its slot table, owned by one thread.
//!
//! ```text
//!  submit --> backlog? --> submission queue --enter--> kernel
//!    |                          ^                        |
//!    v                          | cancels               CQE
//!  Slots <------------------- dispatch <-----------------+
//!    |                          |
//!    +--> result cell           +--> wake, reap
//! ```
//!
//! The ring knows no future, no task and no opcode but those of its own few entries. An op whose
//! future was dropped is a closure to it.
//!
//! # Promises
//!
//! - **R1** One thread uses a ring.
//! - **R2** An op's memory is released only before its entry is in the submission queue, or after
//!   its last completion. A cancel of an op that is reserved or queued answers by a synthetic
//!   `ECANCELED` that takes the same path as a completion.
//! - **R3** No user code (prepare, complete, buffer methods, wakers, destructors, closures) runs
//!   while anything here is borrowed. `dispatch` may be re-entered. A panic in an orphan's closure
//!   or in a waker is caught and counted.
//! - **R4** A ring is drained when no slot is queued, in the kernel, streaming or orphaned. Each
//!   future of an op holds the ring's table; what the kernel may still own at teardown becomes
//!   `Lost`, and a future whose slot is `Lost` forgets its op instead of freeing it.
//!
//! # Safety
//!
//! One unsafe call: the push of an entry, whose memory is the op's promise (O1, O2).

#![allow(unsafe_code)]

mod backlog;
mod buf_ring;
mod cancel;
mod completion;
mod config;
mod counters;
mod current;
mod dispatch;
mod gate;
mod id;
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model answers for some"))]
pub(crate) mod kernel;
mod notifier;
mod queue;
mod registered;
mod slot;
mod teardown;
mod user_data;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Poll, Waker};

use self::backlog::Backlog;
pub(crate) use self::buf_ring::BufPool;
pub use self::buf_ring::{BufClass, BufferPool, PooledBuf};
pub(crate) use self::cancel::{CancelBegun, Dropped};
pub use self::completion::Completion;
pub(crate) use self::completion::{Answer, Ask, Origin, is_interrupted};
pub(crate) use self::config::{Config, SQ_ENTRIES_DEFAULT};
pub(crate) use self::counters::Counters;
pub(crate) use self::current::{EnterGuard, current, disturb, enter as enter_current, is_current};
pub use self::id::OpId;
pub use self::kernel::Pretend;
pub(crate) use self::kernel::affinity;
pub(crate) use self::kernel::direct::{self, Disturbance};
pub(crate) use self::kernel::{Capabilities, Wait, coarse_clock_tick, opcode_name, socket_calls};
use self::kernel::{
    EventFd, IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK,
    IOSQE_IO_LINK, Kernel, Sqe,
};
pub use self::registered::FixedBuf;
use self::slot::{Item, Meta, Polled, Slots};
pub(crate) use self::slot::{Reaper, SlotKey};
use self::user_data::UserData;
use crate::wake::LocalWaker;

/// Whether members of a chain die with the one before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    Soft,
    Hard,
}

/// One io_uring and its slot table.
pub(crate) struct Ring {
    id: u32,
    capabilities: Capabilities,
    inner: RefCell<Inner>,
    notifier: Arc<EventFd>,
    clock_ms: Cell<u32>,
    registered: registered::Registered,
}

struct Inner {
    /// `None` once the ring is closed.
    kernel: Option<Kernel>,
    slots: Slots,
    backlog: Backlog,
    gate: gate::Gate,
    cancels: VecDeque<SlotKey>,
    notifier_armed: bool,
    counters: Arc<Counters>,
}

impl Ring {
    /// Opens a ring on this thread.
    pub(crate) fn new(config: &Config) -> io::Result<Rc<Ring>> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (kernel, capabilities) = config::open(config)?;
        if let Some(caps) = config.io_workers {
            kernel.cap_workers(caps)?;
        }
        let notifier = Arc::new(kernel.notifier()?);
        let counters = Arc::new(Counters::new());
        let inner = Inner {
            kernel: Some(kernel),
            slots: Slots::new(Arc::clone(&counters)),
            backlog: Backlog::default(),
            gate: gate::Gate::new(config.file_ops),
            cancels: VecDeque::new(),
            notifier_armed: false,
            counters: Arc::clone(&counters),
        };
        Ok(Rc::new(Ring {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            capabilities,
            inner: RefCell::new(inner),
            notifier,
            clock_ms: Cell::new(0),
            registered: registered::Registered::new(config.buffer_pool.clone(), counters),
        }))
    }

    /// Unique in the process: the first part of an op's id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(crate) fn notifier(&self) -> &Arc<EventFd> {
        &self.notifier
    }

    /// What it has counted, for all threads.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.inner.borrow().counters)
    }

    /// Whether the kernel has this opcode.
    #[inline]
    pub(crate) fn supports(&self, opcode: u8) -> bool {
        self.capabilities.opcodes.contains(opcode)
    }

    /// Ops that a live future may wait for.
    pub(crate) fn awaited(&self) -> u64 {
        self.inner.borrow().slots.awaited()
    }

    /// Ops in flight whose futures are gone.
    pub(crate) fn orphans(&self) -> u64 {
        self.inner.borrow().slots.orphans()
    }

    /// True once the ring is torn down.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.borrow().kernel.is_none()
    }

    /// Takes a slot for an op that will be submitted later, so that it has an id now.
    pub(crate) fn reserve(&self) -> SlotKey {
        self.inner.borrow_mut().slots.reserve()
    }

    /// Keeps `waker` for `submit`. That may be user code, which may cancel a reserved op: ask
    /// `take_if_ended` after it.
    #[inline]
    pub(crate) fn waiter(waker: &Waker) -> LocalWaker {
        LocalWaker::new(waker)
    }

    /// Submits one op: into the queue if there is room, else into the backlog. The completion
    /// wakes `waiter`. If `reserved`, it has not ended.
    ///
    /// # Safety
    ///
    /// O1 holds for the entry, and the caller keeps the op (O2): until `poll` is `Ready`, or by
    /// the reaper that it hands to `orphan`.
    #[inline]
    pub(crate) unsafe fn submit(
        &self,
        reserved: Option<SlotKey>,
        mut sqe: Sqe,
        waiter: LocalWaker,
        site: &'static Location<'static>,
    ) -> SlotKey {
        let mut inner = self.inner.borrow_mut();
        let key = reserved.unwrap_or_else(|| inner.slots.reserve());
        let meta = self.adopt(&mut sqe, key, site);
        // SAFETY: the caller's promises.
        let queued = unsafe { inner.push_one(sqe) };
        inner.slots.start(key, waiter, meta, queued);
        key
    }

    /// Submits an op with many answers. When `window` of them wait to be taken it is cancelled,
    /// with nobody having asked.
    ///
    /// # Safety
    ///
    /// As for `submit`.
    pub(crate) unsafe fn submit_streaming(
        &self,
        mut sqe: Sqe,
        window: usize,
        waker: &Waker,
        site: &'static Location<'static>,
    ) -> SlotKey {
        let waiter = LocalWaker::new(waker);
        let mut inner = self.inner.borrow_mut();
        let key = inner.slots.reserve();
        let meta = self.adopt(&mut sqe, key, site);
        // SAFETY: the caller's promises.
        let queued = unsafe { inner.push(&[sqe]) };
        inner.slots.start_streaming(key, waiter, meta, queued, window);
        key
    }

    /// Submits a chain: its entries stay together and run one after the other. `keys` are
    /// reserved, one for each entry.
    ///
    /// # Safety
    ///
    /// As for `submit`, for each of the ops.
    pub(crate) unsafe fn submit_chain(
        &self,
        keys: &[SlotKey],
        sqes: &mut [Sqe],
        kind: LinkKind,
        waker: &Waker,
        site: &'static Location<'static>,
    ) {
        let waiters: Vec<LocalWaker> = keys.iter().map(|_| LocalWaker::new(waker)).collect();
        let mut inner = self.inner.borrow_mut();
        let mut metas = Vec::with_capacity(keys.len());
        for (key, sqe) in keys.iter().zip(sqes.iter_mut()) {
            metas.push(self.adopt(sqe, *key, site));
        }
        let flag = if kind == LinkKind::Soft { IOSQE_IO_LINK } else { IOSQE_IO_HARDLINK };
        if let Some((_last, welded)) = sqes.split_last_mut() {
            for sqe in welded {
                sqe.flags |= flag;
            }
        }
        // SAFETY: the caller's promises.
        let queued = unsafe { inner.push(sqes) };
        for ((key, waiter), meta) in keys.iter().zip(waiters).zip(metas) {
            inner.slots.start(*key, waiter, meta, queued);
        }
        for pair in keys.windows(2) {
            inner.slots.link(pair[0], pair[1], kind == LinkKind::Soft);
        }
    }

    /// O5: the ring owns `user_data` and some of the flags.
    #[inline]
    fn adopt(&self, sqe: &mut Sqe, key: SlotKey, site: &'static Location<'static>) -> Meta {
        sqe.user_data = UserData::of_op(key);
        sqe.flags &= !(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_IO_DRAIN | IOSQE_CQE_SKIP_SUCCESS);
        let fixed = sqe.flags & IOSQE_FIXED_FILE != 0;
        Meta { opcode: sqe.opcode, fd: sqe.fd, fixed, started_ms: self.clock_ms.get(), site }
    }

    /// Asks for the outcome of an op; keeps `waker` if there is none yet.
    #[inline]
    pub(crate) fn poll(
        &self,
        key: SlotKey,
        waker: &Waker,
        restartable: bool,
    ) -> Poll<Result<Outcome, Lost>> {
        loop {
            let polled = self.inner.borrow_mut().slots.poll(key, waker, restartable);
            match polled {
                Polled::Ready(answer, ask) => {
                    return Poll::Ready(Ok(Outcome::Done(Completion::new(answer, ask))));
                }
                Polled::Restart => return Poll::Ready(Ok(Outcome::Restart)),
                Polled::Pending { kept: true } => return Poll::Pending,
                Polled::Pending { kept: false } => {
                    if self.set_waiter(key, waker) {
                        return Poll::Pending;
                    }
                }
                Polled::Lost => return Poll::Ready(Err(Lost)),
            }
        }
    }

    /// Like `poll`, with nobody to wake.
    pub(crate) fn poll_done(&self, key: SlotKey, restartable: bool) -> Poll<Result<Outcome, Lost>> {
        // The waker is only compared.
        let polled = self.inner.borrow_mut().slots.poll(key, Waker::noop(), restartable);
        match polled {
            Polled::Ready(answer, ask) => {
                Poll::Ready(Ok(Outcome::Done(Completion::new(answer, ask))))
            }
            Polled::Restart => Poll::Ready(Ok(Outcome::Restart)),
            Polled::Pending { .. } => Poll::Pending,
            Polled::Lost => Poll::Ready(Err(Lost)),
        }
    }

    /// False: the op ended while the waker was being cloned.
    #[cold]
    fn set_waiter(&self, key: SlotKey, waker: &Waker) -> bool {
        let new = LocalWaker::new(waker);
        // The old one is dropped after the borrow, which ends with this statement.
        let replaced = self.inner.borrow_mut().slots.set_waiter(key, new);
        replaced.is_ok()
    }

    /// The next answer of an op with many. `last`: the slot is free and the op has ended.
    pub(crate) fn poll_item(
        &self,
        key: SlotKey,
        waker: &Waker,
    ) -> Poll<Result<(Completion, bool), Lost>> {
        loop {
            let item = self.inner.borrow_mut().slots.next_item(key, waker);
            match item {
                Item::Ready { answer, ask, last } => {
                    return Poll::Ready(Ok((Completion::new(answer, ask), last)));
                }
                Item::Pending { kept: true } => return Poll::Pending,
                Item::Pending { kept: false } => {
                    if self.set_waiter(key, waker) {
                        return Poll::Pending;
                    }
                }
                Item::Lost => return Poll::Ready(Err(Lost)),
            }
        }
    }

    /// If the reserved op has been cancelled before it was submitted: its outcome.
    pub(crate) fn take_if_ended(&self, key: SlotKey) -> Option<Completion> {
        let ended = self.inner.borrow_mut().slots.take_if_ended(key);
        ended.map(|(answer, ask)| Completion::new(answer, ask))
    }

    /// True if an op of this name is in the backlog or in the kernel: an entry that is pushed now
    /// comes behind it.
    pub(crate) fn is_submitted(&self, id: OpId) -> bool {
        id.ring == self.id && self.inner.borrow().slots.is_submitted(id.key)
    }

    /// True if the kernel has this op.
    pub(crate) fn is_in_flight(&self, key: SlotKey) -> bool {
        self.inner.borrow().slots.is_in_flight(key)
    }

    /// Hands everything over to the kernel and takes completions: one system call. An error is
    /// fatal to the ring.
    pub(crate) fn enter(&self, wait: Wait) -> io::Result<()> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if inner.kernel.is_none() {
            return Err(closed());
        }
        // What does not fit has to go in the next turn: no sleep before.
        let all_moved = inner.fill_queue(&self.notifier, self.capabilities.cqe_skip);
        let Some(kernel) = &mut inner.kernel else { return Err(closed()) };
        let wait = match wait {
            _ if !all_moved => Wait::No,
            _ if self.registered.pools.calls() => Wait::No,
            wait => wait,
        };
        inner.counters.enters.add(1);
        inner.counters.overflows.add(u64::from(kernel.flags().overflow));
        let entered = kernel.enter(wait)?;
        inner.counters.submitted.add(u64::from(entered.submitted));
        Ok(())
    }

    /// What the kernel makes of a direct call of so many bytes.
    #[inline]
    pub(crate) fn disturb(&self, bytes: usize) -> Disturbance {
        match &mut self.inner.borrow_mut().kernel {
            Some(kernel) => kernel.disturb(bytes),
            None => Disturbance::Go,
        }
    }

    /// Whether an `enter` would do anything besides waiting.
    #[inline]
    pub(crate) fn needs_enter(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.has_waiting() || !inner.notifier_armed {
            return true;
        }
        let Some(kernel) = &mut inner.kernel else { return false };
        if kernel.queued() > 0 {
            return true;
        }
        let flags = kernel.flags();
        flags.taskrun || flags.overflow
    }

    /// Whether completions can be dispatched, or could after an `enter`, without waiting.
    pub(crate) fn has_completions(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        let Some(kernel) = &mut inner.kernel else { return false };
        let flags = kernel.flags();
        flags.cq_ready || flags.taskrun || flags.overflow
    }

    /// The coarse clock by which ops are dated, in milliseconds; wraps after 49 days.
    #[inline]
    pub(crate) fn set_clock(&self, now_ms: u32) {
        self.clock_ms.set(now_ms);
    }

    /// Visits the ops in flight: opcode, descriptor, start, site.
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(SlotKey, &Meta, Option<&LocalWaker>)) {
        self.inner.borrow().slots.for_each(visit);
    }
}

/// What `Ring::poll` found.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done(Completion),
    /// A signal came between: prepare and submit once more, under the same key.
    Restart,
}

/// The ring of this op is gone and its answer will not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost;

/// The `user_data` by which the kernel knows an op: for ops that name other ops.
pub(crate) fn user_data_of(key: SlotKey) -> u64 {
    UserData::of_op(key)
}

/// The monotonic clock, through the seam.
#[inline]
pub(crate) fn clock() -> std::time::Instant {
    Kernel::now()
}

/// The monotonic clock as of the last timer tick, in milliseconds: a fifth of the price.
#[inline]
pub(crate) fn coarse_clock_ms() -> u32 {
    kernel::coarse_clock_ms()
}

/// A write to a pipe without reader shall be an error, not the end of the process.
pub(crate) fn ignore_sigpipe() {
    kernel::ignore_sigpipe();
}

fn closed() -> io::Error {
    io::Error::other("the runtime of this ring has been shut down")
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("id", &self.id).finish_non_exhaustive()
    }
}
