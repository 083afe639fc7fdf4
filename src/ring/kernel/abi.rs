//! Numbers of `linux/io_uring.h` that the `io-uring` crate keeps to itself.

use io_uring::opcode;

pub(crate) const IOSQE_FIXED_FILE: u8 = 1 << 0;
/// To a worker at once.
pub(crate) const IOSQE_ASYNC: u8 = 1 << 4;
pub(crate) const IOSQE_IO_DRAIN: u8 = 1 << 1;
pub(crate) const IOSQE_IO_LINK: u8 = 1 << 2;
pub(crate) const IOSQE_IO_HARDLINK: u8 = 1 << 3;
pub(crate) const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
pub(crate) const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

pub(crate) const CQE_F_BUFFER: u32 = 1 << 0;
pub(crate) const CQE_F_MORE: u32 = 1 << 1;
/// The kernel goes on with the buffer that it names.
pub(crate) const CQE_F_BUF_MORE: u32 = 1 << 4;

pub(crate) const ENTER_GETEVENTS: u32 = 1 << 0;
pub(crate) const ENTER_EXT_ARG: u32 = 1 << 3;
pub(crate) const ENTER_NO_IOWAIT: u32 = 1 << 7;

pub(crate) const OP_ASYNC_CANCEL: u8 = opcode::AsyncCancel::CODE;
pub(crate) const OP_TIMEOUT: u8 = opcode::Timeout::CODE;
pub(crate) const OP_POLL_ADD: u8 = opcode::PollAdd::CODE;
#[allow(dead_code, reason = "for what wraps or imitates the kernel")]
pub(crate) const OP_POLL_REMOVE: u8 = opcode::PollRemove::CODE;

/// Whether `fd` of such an entry is a descriptor. It is a domain, a flag or a kind of id elsewhere.
pub(crate) fn names_descriptor(opcode: u8) -> bool {
    !matches!(
        opcode,
        opcode::Socket::CODE
            | opcode::WaitId::CODE
            | opcode::FutexWait::CODE
            | opcode::FutexWake::CODE
            | opcode::FutexWaitV::CODE
    )
}

/// The kernel's names of the opcodes, without `IORING_OP_`, by number.
const OPCODE_NAMES: [&str; 63] = [
    "NOP",
    "READV",
    "WRITEV",
    "FSYNC",
    "READ_FIXED",
    "WRITE_FIXED",
    "POLL_ADD",
    "POLL_REMOVE",
    "SYNC_FILE_RANGE",
    "SENDMSG",
    "RECVMSG",
    "TIMEOUT",
    "TIMEOUT_REMOVE",
    "ACCEPT",
    "ASYNC_CANCEL",
    "LINK_TIMEOUT",
    "CONNECT",
    "FALLOCATE",
    "OPENAT",
    "CLOSE",
    "FILES_UPDATE",
    "STATX",
    "READ",
    "WRITE",
    "FADVISE",
    "MADVISE",
    "SEND",
    "RECV",
    "OPENAT2",
    "EPOLL_CTL",
    "SPLICE",
    "PROVIDE_BUFFERS",
    "REMOVE_BUFFERS",
    "TEE",
    "SHUTDOWN",
    "RENAMEAT",
    "UNLINKAT",
    "MKDIRAT",
    "SYMLINKAT",
    "LINKAT",
    "MSG_RING",
    "FSETXATTR",
    "SETXATTR",
    "FGETXATTR",
    "GETXATTR",
    "SOCKET",
    "URING_CMD",
    "SEND_ZC",
    "SENDMSG_ZC",
    "READ_MULTISHOT",
    "WAITID",
    "FUTEX_WAIT",
    "FUTEX_WAKE",
    "FUTEX_WAITV",
    "FIXED_FD_INSTALL",
    "FTRUNCATE",
    "BIND",
    "LISTEN",
    "RECV_ZC",
    "EPOLL_WAIT",
    "READV_FIXED",
    "WRITEV_FIXED",
    "PIPE",
];

/// What the kernel calls this opcode; "OTHER" if it is newer than this crate.
pub(crate) fn opcode_name(opcode: u8) -> &'static str {
    OPCODE_NAMES.get(usize::from(opcode)).copied().unwrap_or("OTHER")
}

/// `len` of `POLL_ADD`: go on after the first event.
pub(crate) const POLL_ADD_MULTI: u32 = 1 << 0;

/// The events of a poll as the entry wants them: on big endian machines as two swapped halves.
#[inline]
pub(crate) fn poll_mask(events: u32) -> u32 {
    if cfg!(target_endian = "big") { events.rotate_left(16) } else { events }
}

/// `struct io_uring_getevents_arg`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct GeteventsArg {
    pub(crate) sigmask: u64,
    pub(crate) sigmask_size: u32,
    pub(crate) min_wait_usec: u32,
    pub(crate) timespec: u64,
}

/// `IOU_PBUF_RING_INC`.
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no buffer rings"))]
pub(crate) const PBUF_RING_INC: u16 = 1 << 1;

/// `IORING_REGISTER_PBUF_STATUS`.
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no buffer rings"))]
pub(crate) const REGISTER_PBUF_STATUS: u32 = 26;

/// `struct io_uring_buf_status`.
#[repr(C)]
#[derive(Debug, Default)]
#[cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no buffer rings"))]
pub(crate) struct BufStatus {
    pub(crate) group: u32,
    pub(crate) head: u32,
    pub(crate) reserved: [u32; 8],
}

/// `struct __kernel_timespec`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Timespec {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl Timespec {
    /// Saturates where the kernel's 64 bits of nanoseconds end, 292 years on.
    pub(crate) fn saturating(duration: std::time::Duration) -> Timespec {
        const SECONDS_MAX: u64 = i64::MAX as u64 / 1_000_000_000;
        Timespec {
            seconds: duration.as_secs().min(SECONDS_MAX) as i64,
            nanoseconds: i64::from(duration.subsec_nanos()),
        }
    }
}
