//! What a ring is asked for, the ladder of setup flags, and the errors of ring creation.
//!
//! ```text
//!  SINGLE_ISSUER DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL NO_SQARRAY    6.6
//!  SINGLE_ISSUER DEFER_TASKRUN TASKRUN_FLAG SUBMIT_ALL               6.1
//!  SINGLE_ISSUER COOP_TASKRUN  TASKRUN_FLAG SUBMIT_ALL               6.0
//!                COOP_TASKRUN  TASKRUN_FLAG SUBMIT_ALL               5.19
//!                                           SUBMIT_ALL               5.18
//!                                                                    5.13, the floor
//! ```
//!
//! CLAMP and CQSIZE stand on every rung. `EINVAL` steps down one rung; `ENOMEM` halves the ring,
//! for locked memory is charged to the user and other rings may hold it; everything else is an
//! error that says what to do about it.

use std::fmt;
use std::io;

use super::buf_ring::BufferPool;
use super::kernel::{Capabilities, Kernel, Pretend, Request, Setup};

/// What a ring is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) sq_entries: u32,
    pub(crate) cq_entries: Option<u32>,
    /// Caps of the kernel's workers for this ring: bounded (files) and unbounded (all else).
    pub(crate) io_workers: Option<(u32, u32)>,
    /// How many operations on files the kernel has at a time.
    pub(crate) file_ops: Option<usize>,
    pub(crate) buffer_pool: BufferPool,
    pub(crate) pretend: Option<Pretend>,
    pub(crate) chaos: Option<u64>,
}

/// Entries of the submission queue unless asked otherwise: 49 KiB and 33 us with its queue of
/// completions; a fuller queue only delays, for the backlog takes what does not fit.
pub(crate) const SQ_ENTRIES_DEFAULT: u32 = 256;
const SQ_ENTRIES_MAX: u32 = 32_768;
const CQ_ENTRIES_MAX: u32 = 2 * SQ_ENTRIES_MAX;
/// Completions per submission: multishots answer often.
const CQ_FACTOR: u32 = 4;

const LADDER: [Setup; 6] = [
    Setup { no_sqarray: true, ..DEFER },
    DEFER,
    Setup { single_issuer: true, ..COOP },
    COOP,
    Setup { submit_all: true, ..BARE },
    BARE,
];
const DEFER: Setup = Setup {
    single_issuer: true,
    defer_taskrun: true,
    coop_taskrun: false,
    taskrun_flag: true,
    submit_all: true,
    no_sqarray: false,
};
const COOP: Setup = Setup {
    single_issuer: false,
    defer_taskrun: false,
    coop_taskrun: true,
    taskrun_flag: true,
    submit_all: true,
    no_sqarray: false,
};
const BARE: Setup = Setup {
    single_issuer: false,
    defer_taskrun: false,
    coop_taskrun: false,
    taskrun_flag: false,
    submit_all: false,
    no_sqarray: false,
};

/// Opens the best ring that this kernel gives.
pub(crate) fn open(config: &Config) -> io::Result<(Kernel, Capabilities)> {
    let asked = config.sq_entries;
    if asked == 0 || asked > SQ_ENTRIES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a ring of {asked} entries is impossible: ask for 1 to {SQ_ENTRIES_MAX}"),
        ));
    }
    let sq_entries = asked.next_power_of_two();
    let cq_entries = config.cq_entries.unwrap_or(sq_entries.saturating_mul(CQ_FACTOR));
    let mut request = Request {
        setup: LADDER[0],
        sq_entries,
        cq_entries: cq_entries.clamp(sq_entries, CQ_ENTRIES_MAX).next_power_of_two(),
        pretend: config.pretend.clone(),
        chaos: config.chaos,
    };
    let mut rungs = LADDER.into_iter();
    loop {
        let Some(setup) = rungs.next() else { return Err(explain(libc::EINVAL)) };
        request.setup = setup;
        match open_smaller(&mut request) {
            Ok(opened) => return Ok(opened),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error.raw_os_error().map_or(error, explain)),
        }
    }
}

fn open_smaller(request: &mut Request) -> io::Result<(Kernel, Capabilities)> {
    const SQ_ENTRIES_MIN: u32 = 8;
    loop {
        match Kernel::open(request) {
            Err(error)
                if error.raw_os_error() == Some(libc::ENOMEM)
                    && request.sq_entries > SQ_ENTRIES_MIN =>
            {
                request.sq_entries /= 2;
                request.cq_entries = (request.cq_entries / 2).max(request.sq_entries);
            }
            outcome => return outcome,
        }
    }
}

/// Why there is no ring, and what to do about it.
fn explain(errno: i32) -> io::Error {
    let advice = match errno {
        libc::ENOSYS | libc::EINVAL => {
            "this kernel is too old: Linux 5.13 or newer is needed, 6.1 or newer is recommended \
             (a sandbox such as gVisor answers the same)"
        }
        libc::EPERM => {
            "io_uring is switched off for this process. Look at `sysctl kernel.io_uring_disabled` \
             (0 allows it), and in a container at the seccomp profile: Docker's and containerd's \
             default profiles forbid io_uring_setup, io_uring_enter and io_uring_register"
        }
        libc::EACCES => "a security module (SELinux, AppArmor) forbids io_uring for this process",
        libc::ENOMEM => {
            "there is not enough lockable memory even for a ring of 8 entries: raise \
             RLIMIT_MEMLOCK (`ulimit -l`), or close other rings of this user"
        }
        libc::EMFILE => "this process has too many open files: raise RLIMIT_NOFILE (`ulimit -n`)",
        libc::ENFILE => "the system has too many open files: raise `sysctl fs.file-max`",
        _ => "the kernel gave no ring",
    };
    let source = io::Error::from_raw_os_error(errno);
    io::Error::new(source.kind(), SetupError { advice, source })
}

/// The error of ring creation: what happened and what to do about it.
#[derive(Debug)]
struct SetupError {
    advice: &'static str,
    source: io::Error,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot create an io_uring: {} ({})", self.advice, self.source)
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
