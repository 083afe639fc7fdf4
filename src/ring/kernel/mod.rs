//! The seam: every contact with the kernel passes through here.
//!
//! ```text
//!  ring --> Kernel --+--> uring.rs   the real io_uring
//!                    +--> chaos.rs   (feature) wraps it and does what Linux legally may
//! ```
//!
//! One type is chosen on a `pub use` line. It is inherent API in the shape of a trait: open, push,
//! enter, pop, flags, register, clock, notifier. Above this folder nothing knows which one runs.
//!
//! Entries travel as [`Sqe`], our own 64 bytes with public fields: what wraps the kernel must be
//! able to read and change them, and the slot table keeps opcode and descriptor for its dumps.

mod abi;
pub(crate) mod affinity;
mod buf_ring;
mod calls;
#[cfg(all(feature = "chaos", not(ringspun_model)))]
mod chaos;
pub(crate) mod children;
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no such calls"))]
pub(crate) mod direct;
mod eventfd;
mod fault;
pub(crate) mod inherited;
#[cfg(ringspun_model)]
#[doc(hidden)]
#[allow(unreachable_pub, reason = "lib.rs shows its `control` to tests")]
pub mod model;
#[cfg(not(ringspun_model))]
mod registration;
pub(crate) mod signals;
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no such calls"))]
pub(crate) mod socket_calls;
#[cfg(not(ringspun_model))]
mod uring;

use std::io;
use std::time::Duration;

#[cfg(all(feature = "chaos", not(ringspun_model)))]
pub(crate) use chaos::Kernel;
#[cfg(all(test, feature = "chaos", not(ringspun_model)))]
pub(crate) use chaos::legal as legal_faults;
#[cfg(ringspun_model)]
pub(crate) use model::Kernel;
#[cfg(not(any(feature = "chaos", ringspun_model)))]
pub(crate) use uring::Kernel;

#[cfg(any(feature = "chaos", ringspun_model))]
pub(crate) use abi::OP_POLL_REMOVE;
pub(crate) use abi::{
    CQE_F_BUF_MORE, CQE_F_BUFFER, CQE_F_MORE, IOSQE_ASYNC, IOSQE_BUFFER_SELECT,
    IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK,
    OP_ASYNC_CANCEL, OP_POLL_ADD, OP_TIMEOUT, POLL_ADD_MULTI, Timespec, names_descriptor,
    opcode_name, poll_mask,
};
pub(crate) use buf_ring::{BUF_RING_ENTRIES_MAX, BufRing};
#[cfg(not(ringspun_model))]
pub(crate) use calls::ignore_sigpipe;
pub(crate) use calls::{coarse_clock_ms, coarse_clock_tick};
pub(crate) use eventfd::EventFd;
pub use fault::Fault;
#[cfg(ringspun_model)]
pub(crate) use model::ignore_sigpipe;

/// One submission queue entry, as the kernel's header lays it out.
///
/// Fields that the kernel overlays carry the name of their most common use; the comment lists the
/// others. See `io_uring_enter(2)`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sqe {
    /// Which operation: `IORING_OP_*`.
    pub opcode: u8,
    /// `IOSQE_*`. The ring owns `IO_LINK`, `IO_HARDLINK`, `IO_DRAIN` and `CQE_SKIP_SUCCESS` and
    /// clears them; chains are made by [`op::link`](crate::op::link()).
    pub flags: u8,
    /// I/O priority, or flags of the send, receive and accept family.
    pub ioprio: u16,
    /// The descriptor, or the index of a registered file with `IOSQE_FIXED_FILE`.
    pub fd: i32,
    /// Offset; also: second address, `addrlen` of connect.
    pub off: u64,
    /// Address of the buffer, path, `iovec` array, ...; also: `splice_off_in`, key of a cancel.
    pub addr: u64,
    /// Length of the buffer or number of vectors; also: mode, mask.
    pub len: u32,
    /// Flags of the operation: `rw_flags`, `msg_flags`, `poll32_events`, `open_flags`, ...
    pub op_flags: u32,
    /// Owned by the ring.
    pub user_data: u64,
    /// Index of a registered buffer, or the buffer group.
    pub buf_index: u16,
    /// Registered credentials, 0 for the thread's own.
    pub personality: u16,
    /// `splice_fd_in`; also: direct descriptor slot, address length.
    pub file_index: u32,
    /// Third address.
    pub addr3: u64,
    /// Must be 0, except for commands.
    pub pad: u64,
}

const _: () = assert!(size_of::<Sqe>() == 64);

impl Sqe {
    /// An entry of `opcode` with everything else zero and `fd` -1.
    #[must_use]
    #[inline]
    pub const fn new(opcode: u8) -> Sqe {
        Sqe {
            opcode,
            flags: 0,
            ioprio: 0,
            fd: -1,
            off: 0,
            addr: 0,
            len: 0,
            op_flags: 0,
            user_data: 0,
            buf_index: 0,
            personality: 0,
            file_index: 0,
            addr3: 0,
            pad: 0,
        }
    }

    /// The entry as eight words, read field by field; on little endian machines its very bytes.
    ///
    /// For the hot path: a `Sqe` whose address nobody takes stays in registers, and goes from there
    /// into the queue. Copied as 64 bytes it would be read back from the stack in wider pieces than
    /// it was written, which no store buffer can forward: 10 ns, more than all else of a
    /// submission.
    #[inline(always)]
    pub(crate) fn to_words(self) -> [u64; 8] {
        let pair = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
        let head =
            u32::from(self.opcode) | (u32::from(self.flags) << 8) | (u32::from(self.ioprio) << 16);
        let buffer = u32::from(self.buf_index) | (u32::from(self.personality) << 16);
        [
            pair(head, self.fd as u32),
            self.off,
            self.addr,
            pair(self.len, self.op_flags),
            self.user_data,
            pair(buffer, self.file_index),
            self.addr3,
            self.pad,
        ]
    }

    /// The inverse of `to_words`.
    pub(crate) fn from_words(words: [u64; 8]) -> Sqe {
        let [head, off, addr, len, user_data, buffer, addr3, pad] = words;
        Sqe {
            opcode: head as u8,
            flags: (head >> 8) as u8,
            ioprio: (head >> 16) as u16,
            fd: (head >> 32) as i32,
            off,
            addr,
            len: len as u32,
            op_flags: (len >> 32) as u32,
            user_data,
            buf_index: buffer as u16,
            personality: (buffer >> 16) as u16,
            file_index: (buffer >> 32) as u32,
            addr3,
            pad,
        }
    }

    /// True if the entry welds the next one of its queue to itself.
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) != 0
    }
}

/// One completion queue entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cqe {
    pub(crate) user_data: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

/// How long `enter` may wait for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// Until one comes, at most this long. May return early with nothing.
    AtMost(Duration),
    /// Until one comes.
    Forever,
}

/// Why `enter` came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It did what it was asked, or returned early: look at the queue.
    Done,
    /// The time was up (`ETIME`).
    TimedOut,
    /// A signal (`EINTR`).
    Interrupted,
    /// The completion queue is over-full (`EBUSY`), or no memory for requests now (`EAGAIN`).
    Busy,
}

/// What one `enter` did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    pub(crate) submitted: u32,
    #[allow(dead_code, reason = "what came is seen in the queue; read by chaos")]
    pub(crate) why: Why,
}

/// There is not room for the whole chain in the submission queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What can be seen of the rings without a system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// Deferred work waits for an `enter` with GETEVENTS.
    pub(crate) taskrun: bool,
    /// Completions wait in the kernel because the queue is full.
    pub(crate) overflow: bool,
    /// Completions can be popped.
    pub(crate) cq_ready: bool,
}

/// One rung of the setup ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Setup {
    pub(crate) single_issuer: bool,
    pub(crate) defer_taskrun: bool,
    pub(crate) coop_taskrun: bool,
    pub(crate) taskrun_flag: bool,
    pub(crate) submit_all: bool,
    pub(crate) no_sqarray: bool,
}

/// What to open.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) setup: Setup,
    pub(crate) sq_entries: u32,
    pub(crate) cq_entries: u32,
    pub(crate) pretend: Option<Pretend>,
    /// Seed of the fault injection; read by `chaos` only.
    #[allow(dead_code, reason = "read with the feature `chaos`")]
    pub(crate) chaos: Option<u64>,
}

/// A kernel to be imitated: what this machine's kernel can do and the imitated one cannot.
///
/// For tests of the code that steps down, through the seam and not through mocks: setup flags are
/// refused as an old kernel refuses them, opcodes and features are reported as missing, or setup
/// fails as it does in a container.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct Pretend {
    /// `io_uring_setup` fails with this errno, always.
    pub setup_errno: Option<i32>,
    /// `io_uring_setup` fails with `ENOMEM` for rings of more entries than this.
    pub entries_max: Option<u32>,
    /// The version whose setup flags and features are known, for example `(5, 19)`.
    pub version: Option<(u32, u32)>,
    /// Opcodes that the probe reports as missing.
    pub missing_opcodes: Vec<u8>,
}

impl Pretend {
    pub(crate) fn knows(&self, since: (u32, u32)) -> bool {
        self.version.is_none_or(|version| version >= since)
    }

    /// What `io_uring_setup` of the imitated kernel answers instead of the real one.
    pub(crate) fn refuses(&self, setup: &Setup, sq_entries: u32) -> Option<io::Error> {
        if let Some(errno) = self.setup_errno {
            return Some(io::Error::from_raw_os_error(errno));
        }
        let unknown = [
            (setup.submit_all, (5, 18)),
            (setup.coop_taskrun, (5, 19)),
            (setup.taskrun_flag, (5, 19)),
            (setup.single_issuer, (6, 0)),
            (setup.defer_taskrun, (6, 1)),
            (setup.no_sqarray, (6, 6)),
        ];
        if unknown.iter().any(|(used, since)| *used && !self.knows(*since)) {
            return Some(io::Error::from_raw_os_error(libc::EINVAL));
        }
        if self.entries_max.is_some_and(|max| sq_entries > max) {
            return Some(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        None
    }
}

/// Which opcodes the kernel has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opcodes([u64; 4]);

impl Opcodes {
    pub(crate) const NONE: Opcodes = Opcodes([0; 4]);

    pub(crate) fn insert(&mut self, opcode: u8) {
        self.0[usize::from(opcode >> 6)] |= 1 << (opcode & 63);
    }

    pub(crate) fn remove(&mut self, opcode: u8) {
        self.0[usize::from(opcode >> 6)] &= !(1 << (opcode & 63));
    }

    #[inline]
    pub(crate) fn contains(&self, opcode: u8) -> bool {
        self.0[usize::from(opcode >> 6)] & (1 << (opcode & 63)) != 0
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

/// What the opened ring can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    pub(crate) setup: Setup,
    pub(crate) sq_entries: u32,
    pub(crate) cq_entries: u32,
    pub(crate) opcodes: Opcodes,
    /// Successful completions can be suppressed (5.17).
    pub(crate) cqe_skip: bool,
    /// Waits are not accounted as disk waits (6.15).
    pub(crate) no_iowait: bool,
    /// Nothing speaks against registering a buffer ring (5.19).
    pub(crate) buf_rings: bool,
    /// Nor against one whose buffers are filled piece by piece (6.12).
    pub(crate) incremental: bool,
}

#[cfg(test)]
mod tests {
    use super::Sqe;

    #[test]
    fn words_come_back() {
        let words = [1, 2, 3, 4, 5, 6, 7, 8].map(|n: u64| n.wrapping_mul(0x0123_4567_89ab_cdef));
        assert_eq!(Sqe::from_words(words).to_words(), words);
    }
}
