//! A kernel that makes no system call: the model, for Miri. `--cfg ringspun_model` chooses it.
//!
//! ```text
//!  push --> queue --enter--> pending --finish--> completions --pop-->
//!                    |          |         |
//!               reads inputs    |    touches the memory that the entry points to
//!                               +-- cancel, chains
//! ```
//!
//! It keeps what was submitted and uses the pointers of an entry *when it completes it*: it fills
//! the buffers of reads with random bytes, reads those of writes, writes addresses and lengths. So
//! whatever invalidates a pointer meanwhile, a move of the op, a look at it, a free, is undefined
//! behaviour that Miri sees at that moment. What Linux copies in at the submission is read then
//! too.
//!
//! Tests drive it through [`control`], by hand or by a seed. Everything above the seam runs
//! unmodified.
//!
//! The descriptors that it hands out are real placeholders (ends of pipes), so that an `OwnedFd`
//! stays honest; the notifier is a real eventfd, which Miri has.
//!
//! # Safety
//!
//! The seam's two unsafe functions have their shape here. Their promise is checked, not relied on.

#![allow(unsafe_code)]

pub mod control;
mod descriptors;
mod memory;
mod random;
mod world;

use std::io;
use std::time::{Duration, Instant};

use self::world::with;
use super::{
    BufRing, Capabilities, Cqe, Entered, EventFd, Flags, Full, Opcodes, Request, Sqe, Wait, Why,
};

/// One modelled ring. Used by one thread (R1), whose `World` holds its state.
pub(crate) struct Kernel {
    ring: u32,
}

/// How long a wait for other threads may last before it counts as a deadlock.
const WAKE_MAX: Duration = Duration::from_secs(20);
/// The longest sleep between two looks at the notifier.
const NAP: Duration = Duration::from_millis(1);

impl Kernel {
    pub(crate) fn open(request: &Request) -> io::Result<(Kernel, Capabilities)> {
        let pretend = request.pretend.clone().unwrap_or_default();
        if let Some(error) = pretend.refuses(&request.setup, request.sq_entries) {
            return Err(error);
        }
        let mut opcodes = Opcodes::NONE;
        for opcode in 0..=u8::MAX {
            if !pretend.missing_opcodes.contains(&opcode) {
                opcodes.insert(opcode);
            }
        }
        let capabilities = Capabilities {
            setup: request.setup,
            sq_entries: request.sq_entries,
            cq_entries: request.cq_entries,
            opcodes,
            cqe_skip: pretend.knows((5, 17)),
            no_iowait: pretend.knows((6, 15)),
            buf_rings: false,
            incremental: false,
        };
        let ring = with(|world| world.open(request.sq_entries as usize));
        Ok((Kernel { ring }, capabilities))
    }

    /// Takes a whole chain into the submission queue, or nothing of it.
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for each entry.
    pub(crate) unsafe fn push(&mut self, chain: &[Sqe]) -> Result<(), Full> {
        with(|world| world.push(self.ring, chain)).then_some(()).ok_or(Full)
    }

    /// As `push`, of one entry.
    ///
    /// # Safety
    ///
    /// As for `push`.
    pub(crate) unsafe fn push_one(&mut self, words: [u64; 8]) -> Result<(), Full> {
        // SAFETY: the caller's promise.
        unsafe { self.push(&[Sqe::from_words(words)]) }
    }

    /// Takes the queue over, and completes what the mode says. Panics instead of sleeping for ever.
    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<Entered> {
        let submitted = with(|world| world.enter(self.ring, wait != Wait::No));
        let started = Instant::now();
        loop {
            let (ready, wakes) = with(|world| {
                world.look_at_notifier(self.ring);
                (world.has_completions(self.ring), world.expects_wakes)
            });
            let done = Entered { submitted, why: Why::Done };
            match wait {
                _ if ready => return Ok(done),
                Wait::No => return Ok(done),
                Wait::AtMost(limit) => {
                    let left = limit.saturating_sub(started.elapsed());
                    if left.is_zero() {
                        return Ok(Entered { submitted, why: Why::TimedOut });
                    }
                    std::thread::sleep(left.min(NAP));
                }
                Wait::Forever => {
                    assert!(
                        wakes && started.elapsed() < WAKE_MAX,
                        "deadlock in the model: the loop sleeps for ever and nothing will end it"
                    );
                    std::thread::yield_now();
                }
            }
        }
    }

    pub(crate) fn disturb(&mut self, _bytes: usize) -> super::direct::Disturbance {
        super::direct::Disturbance::Go
    }

    pub(crate) fn pop(&mut self) -> Option<Cqe> {
        with(|world| world.pop(self.ring))
    }

    pub(crate) fn flags(&mut self) -> Flags {
        let cq_ready = with(|world| world.has_completions(self.ring));
        Flags { taskrun: false, overflow: false, cq_ready }
    }

    pub(crate) fn queued(&mut self) -> usize {
        with(|world| world.queued(self.ring))
    }

    #[allow(clippy::unused_self, dead_code, reason = "the seam's shape")]
    pub(crate) fn holds_back(&self) -> bool {
        false
    }

    pub(crate) fn notifier(&self) -> io::Result<EventFd> {
        let notifier = EventFd::new()?;
        with(|world| world.set_notifier(self.ring, notifier.raw()));
        Ok(notifier)
    }

    pub(crate) fn now() -> Instant {
        Instant::now()
    }
}

/// Registrations are believed: nothing that the model does depends on them.
#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the seam's shape")]
#[allow(dead_code, reason = "what of it is called depends on the layers above")]
impl Kernel {
    pub(crate) fn cap_workers(&self, caps: (u32, u32)) -> io::Result<(u32, u32)> {
        Ok(caps)
    }

    pub(crate) fn bind_workers(&self, _cpus: &[usize]) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_buffers(&self, _buffers: &mut [Vec<u8>]) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn unregister_buffers(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_files(&self, _files: &[i32]) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_files_update(&self, _offset: u32, files: &[i32]) -> io::Result<usize> {
        Ok(files.len())
    }

    pub(crate) fn unregister_files(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_personality(&self) -> io::Result<u16> {
        Ok(1)
    }

    pub(crate) fn unregister_personality(&self, _personality: u16) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_eventfd(&self, _eventfd: i32) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn register_eventfd_async(&self, _eventfd: i32) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn unregister_eventfd(&self) -> io::Result<()> {
        Ok(())
    }

    /// It chooses no buffers.
    ///
    /// # Safety
    ///
    /// None is needed.
    pub(crate) unsafe fn register_buf_ring(&self, _: &BufRing, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn unregister_buf_ring(&self, _group: u16) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn buf_ring_head(&self, _group: u16) -> io::Result<u16> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Kernel {
    /// The ring is closed. What is pending stays so: as with Linux, closing stops nothing.
    fn drop(&mut self) {
        with(|world| world.close(self.ring));
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("ring", &self.ring).finish()
    }
}

/// Signals are none of the model's.
pub(crate) fn ignore_sigpipe() {}
