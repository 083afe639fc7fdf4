//! The real kernel: one io_uring, by the `io-uring` crate.
//!
//! # Safety
//!
//! This is where entries are handed over. What they point to is the promise of the op that made
//! them (O1, O2 in `op/mod.rs`); here it is passed on, not proved.

#![allow(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use io_uring::{IoUring, Probe, squeue};

use super::abi::{ENTER_EXT_ARG, ENTER_GETEVENTS, ENTER_NO_IOWAIT, GeteventsArg, Timespec};
use super::direct::Disturbance;
use super::{
    Capabilities, Cqe, Entered, EventFd, Flags, Full, Opcodes, Pretend, Request, Sqe, Wait, Why,
};

const _: () = assert!(size_of::<Sqe>() == size_of::<squeue::Entry>());
const _: () = assert!(align_of::<Sqe>() == align_of::<squeue::Entry>());

/// One io_uring instance. Used by one thread (R1).
pub(crate) struct Kernel {
    uring: IoUring,
    enter_flags: u32,
}

impl Kernel {
    /// Opens a ring with exactly the flags of `request`, or answers the kernel's error.
    pub(crate) fn open(request: &Request) -> io::Result<(Kernel, Capabilities)> {
        let pretend = request.pretend.clone().unwrap_or_default();
        if let Some(error) = pretend.refuses(&request.setup, request.sq_entries) {
            return Err(error);
        }
        let setup = request.setup;
        let mut builder = IoUring::builder();
        builder.dontfork().setup_clamp().setup_cqsize(request.cq_entries);
        if setup.single_issuer {
            builder.setup_single_issuer();
        }
        if setup.defer_taskrun {
            builder.setup_defer_taskrun();
        }
        if setup.coop_taskrun {
            builder.setup_coop_taskrun();
        }
        if setup.taskrun_flag {
            builder.setup_taskrun_flag();
        }
        if setup.submit_all {
            builder.setup_submit_all();
        }
        if setup.no_sqarray {
            builder.setup_no_sqarray();
        }
        let uring = builder.build(request.sq_entries)?;
        let parameters = uring.params();
        // EXT_ARG carries the wait's timeout (5.11); RSRC_TAGS came with multishot poll (5.13).
        let complete = parameters.is_feature_ext_arg()
            && parameters.is_feature_nodrop()
            && parameters.is_feature_resource_tagging();
        if !complete || !pretend.knows((5, 13)) {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        let no_iowait = parameters.is_feature_no_iowait() && pretend.knows((6, 15));
        let capabilities = Capabilities {
            setup,
            sq_entries: parameters.sq_entries(),
            cq_entries: parameters.cq_entries(),
            opcodes: probe(&uring, &pretend)?,
            cqe_skip: parameters.is_feature_skip_cqe_on_success() && pretend.knows((5, 17)),
            no_iowait,
            buf_rings: pretend.knows((5, 19)),
            incremental: pretend.knows((6, 12)),
        };
        let enter_flags = ENTER_GETEVENTS | if no_iowait { ENTER_NO_IOWAIT } else { 0 };
        Ok((Kernel { uring, enter_flags }, capabilities))
    }

    /// Puts a whole chain into the submission queue, or nothing of it.
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for each entry.
    #[inline]
    pub(crate) unsafe fn push(&mut self, chain: &[Sqe]) -> Result<(), Full> {
        let mut queue = self.uring.submission();
        // SAFETY: `Sqe` and `Entry` are both the kernel's 64 bytes, same size and alignment
        // (asserted above), plain data.
        let entries: &[squeue::Entry] =
            unsafe { std::slice::from_raw_parts(chain.as_ptr().cast(), chain.len()) };
        // The caller's promise is the one that `push` and `push_multiple` ask for.
        let pushed = match entries {
            [entry] => {
                // SAFETY: as above.
                unsafe { queue.push(entry) }
            }
            _ => {
                // SAFETY: as above.
                unsafe { queue.push_multiple(entries) }
            }
        };
        pushed.map_err(|_| Full)
    }

    /// Like `push`, for one entry as [`Sqe::to_words`] gives it.
    ///
    /// # Safety
    ///
    /// As for `push`.
    #[inline(always)]
    pub(crate) unsafe fn push_one(&mut self, words: [u64; 8]) -> Result<(), Full> {
        let entry = if cfg!(target_endian = "little") {
            // SAFETY: both are the kernel's 64 bytes, plain data.
            unsafe { std::mem::transmute::<[u64; 8], squeue::Entry>(words) }
        } else {
            // SAFETY: as above.
            unsafe { std::mem::transmute::<Sqe, squeue::Entry>(Sqe::from_words(words)) }
        };
        // SAFETY: the caller's promise is the one that `push` asks for.
        unsafe { self.uring.submission().push(&entry) }.map_err(|_| Full)
    }

    /// Hands the queue over and takes completions: one system call, always with GETEVENTS.
    /// An error is fatal to the ring.
    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<Entered> {
        let to_submit = self.uring.submission().len() as u32;
        let outcome = match wait {
            // SAFETY: no argument is passed.
            Wait::No => unsafe {
                self.uring.submitter().enter::<GeteventsArg>(to_submit, 0, self.enter_flags, None)
            },
            // SAFETY: as above.
            Wait::Forever => unsafe {
                self.uring.submitter().enter::<GeteventsArg>(to_submit, 1, self.enter_flags, None)
            },
            Wait::AtMost(duration) => {
                let timespec = timespec(duration);
                let argument = GeteventsArg {
                    timespec: std::ptr::from_ref(&timespec) as u64,
                    ..GeteventsArg::default()
                };
                let flags = self.enter_flags | ENTER_EXT_ARG;
                // SAFETY: EXT_ARG says that the argument is a `GeteventsArg`; it and the timespec
                // it points to live until the call returns.
                unsafe { self.uring.submitter().enter(to_submit, 1, flags, Some(&argument)) }
            }
        };
        match outcome {
            Ok(count) => Ok(Entered { submitted: count as u32, why: Why::Done }),
            Err(error) => {
                let why = match error.raw_os_error() {
                    Some(libc::ETIME) => Why::TimedOut,
                    Some(libc::EINTR) => Why::Interrupted,
                    Some(libc::EBUSY | libc::EAGAIN) => Why::Busy,
                    _ => return Err(error),
                };
                Ok(Entered { submitted: 0, why })
            }
        }
    }

    /// Nothing comes between a direct call and this kernel.
    #[allow(dead_code, reason = "chaos answers for itself")]
    #[inline]
    pub(crate) fn disturb(&mut self, _bytes: usize) -> Disturbance {
        Disturbance::Go
    }

    /// Takes the next completion. The head is published before this returns.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Cqe> {
        let entry = self.uring.completion().next()?;
        Some(Cqe { user_data: entry.user_data(), result: entry.result(), flags: entry.flags() })
    }

    #[inline]
    pub(crate) fn flags(&mut self) -> Flags {
        let cq_ready = !self.uring.completion().is_empty();
        let queue = self.uring.submission();
        Flags { taskrun: queue.taskrun(), overflow: queue.cq_overflow(), cq_ready }
    }

    /// Entries that are pushed and not handed over yet.
    #[inline]
    pub(crate) fn queued(&mut self) -> usize {
        self.uring.submission().len()
    }

    pub(crate) fn uring(&self) -> &IoUring {
        &self.uring
    }

    pub(crate) fn notifier(&self) -> io::Result<EventFd> {
        EventFd::new()
    }

    /// The monotonic clock.
    #[inline]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}

fn probe(uring: &IoUring, pretend: &Pretend) -> io::Result<Opcodes> {
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    let mut opcodes = Opcodes::NONE;
    for opcode in 0..=u8::MAX {
        if probe.is_supported(opcode) {
            opcodes.insert(opcode);
        }
    }
    for opcode in &pretend.missing_opcodes {
        opcodes.remove(*opcode);
    }
    Ok(opcodes)
}

/// The kernel refuses times beyond its 64 bits of nanoseconds; a wait may always end early.
fn timespec(duration: Duration) -> Timespec {
    const SECONDS_MAX: u64 = 1 << 30;
    if duration.as_secs() >= SECONDS_MAX {
        return Timespec { seconds: SECONDS_MAX as i64, nanoseconds: 0 };
    }
    Timespec { seconds: duration.as_secs() as i64, nanoseconds: i64::from(duration.subsec_nanos()) }
}
