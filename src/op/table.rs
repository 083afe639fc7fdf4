//! The opcode table: which kernel knows an opcode, how it runs there, and what may befall it.

use std::fmt;
use std::io;

use io_uring::opcode;

pub use crate::ring::kernel::Fault;

/// How the kernel carries an operation out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// At once, or nothing to wait for.
    Inline,
    /// It waits for readiness without a thread. Cancelled at once.
    PollDriven,
    /// At once when the page cache or the inode cache has it, else in a kernel worker.
    MayUseWorker,
    /// Always in a kernel worker. Cannot be cancelled once it runs.
    AlwaysWorker,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct OpcodeRow {
    /// The number in the entry.
    pub opcode: u8,
    /// The kernel's name, without `IORING_OP_`.
    pub name: &'static str,
    /// The file in `src/op/`.
    pub file: &'static str,
    /// The first kernel that has it.
    pub since: (u8, u8),
    /// How it is carried out.
    pub class: Class,
    /// What may befall it.
    pub faults: &'static [Fault],
}

const LATE: &[Fault] = &[Fault::Late];
const TRANSFER: &[Fault] = &[Fault::Interrupted, Fault::Short, Fault::NoMemory, Fault::Late];
const FILE_TRANSFER: &[Fault] =
    &[Fault::Interrupted, Fault::Again, Fault::Short, Fault::NoMemory, Fault::Late];
const RECEIVE: &[Fault] =
    &[Fault::Interrupted, Fault::Short, Fault::NoMemory, Fault::NoBuffers, Fault::Late];
const READ: &[Fault] = &[
    Fault::Interrupted,
    Fault::Again,
    Fault::Short,
    Fault::NoMemory,
    Fault::NoBuffers,
    Fault::Late,
];
const FILE_CALL: &[Fault] = &[Fault::Interrupted, Fault::NoMemory, Fault::Late];
const WAITS: &[Fault] = &[Fault::Interrupted, Fault::NoMemory, Fault::Late];
const MULTI: &[Fault] = &[Fault::EndsEarly, Fault::Late];

/// Every opcode that this crate submits.
pub const OPCODES: &[OpcodeRow] = &[
    row(opcode::Nop::CODE, "NOP", "nop", (5, 1), Class::Inline, LATE),
    row(opcode::Readv::CODE, "READV", "readv", (5, 1), Class::MayUseWorker, FILE_TRANSFER),
    row(opcode::Writev::CODE, "WRITEV", "writev", (5, 1), Class::MayUseWorker, FILE_TRANSFER),
    row(opcode::Fsync::CODE, "FSYNC", "fsync", (5, 1), Class::AlwaysWorker, FILE_CALL),
    row(
        opcode::ReadFixed::CODE,
        "READ_FIXED",
        "read_fixed",
        (5, 1),
        Class::MayUseWorker,
        FILE_TRANSFER,
    ),
    row(
        opcode::WriteFixed::CODE,
        "WRITE_FIXED",
        "write_fixed",
        (5, 1),
        Class::MayUseWorker,
        FILE_TRANSFER,
    ),
    row(opcode::PollAdd::CODE, "POLL_ADD", "poll_add", (5, 1), Class::PollDriven, LATE),
    row(opcode::PollAdd::CODE, "POLL_ADD", "poll_add_multi", (5, 13), Class::PollDriven, MULTI),
    row(opcode::PollRemove::CODE, "POLL_REMOVE", "poll_remove", (5, 1), Class::Inline, LATE),
    row(opcode::PollRemove::CODE, "POLL_REMOVE", "poll_update", (5, 13), Class::Inline, LATE),
    row(opcode::SendMsg::CODE, "SENDMSG", "sendmsg", (5, 3), Class::PollDriven, WAITS),
    row(opcode::RecvMsg::CODE, "RECVMSG", "recvmsg", (5, 3), Class::PollDriven, WAITS),
    row(
        opcode::SyncFileRange::CODE,
        "SYNC_FILE_RANGE",
        "sync_file_range",
        (5, 2),
        Class::AlwaysWorker,
        LATE,
    ),
    row(opcode::Timeout::CODE, "TIMEOUT", "timeout", (5, 4), Class::PollDriven, LATE),
    row(
        opcode::TimeoutRemove::CODE,
        "TIMEOUT_REMOVE",
        "timeout_remove",
        (5, 5),
        Class::Inline,
        LATE,
    ),
    row(opcode::Accept::CODE, "ACCEPT", "accept", (5, 5), Class::PollDriven, WAITS),
    row(opcode::Accept::CODE, "ACCEPT", "accept_multi", (5, 19), Class::PollDriven, MULTI),
    row(opcode::AsyncCancel::CODE, "ASYNC_CANCEL", "cancel", (5, 5), Class::Inline, LATE),
    row(opcode::AsyncCancel::CODE, "ASYNC_CANCEL", "cancel_fd", (5, 19), Class::Inline, LATE),
    row(opcode::LinkTimeout::CODE, "LINK_TIMEOUT", "link_timeout", (5, 5), Class::PollDriven, LATE),
    row(opcode::Connect::CODE, "CONNECT", "connect", (5, 5), Class::PollDriven, LATE),
    row(opcode::Fallocate::CODE, "FALLOCATE", "fallocate", (5, 6), Class::AlwaysWorker, FILE_CALL),
    row(opcode::OpenAt::CODE, "OPENAT", "open_at", (5, 6), Class::MayUseWorker, FILE_CALL),
    row(opcode::OpenAt2::CODE, "OPENAT2", "open_at2", (5, 6), Class::MayUseWorker, FILE_CALL),
    row(opcode::Close::CODE, "CLOSE", "close", (5, 6), Class::MayUseWorker, LATE),
    row(opcode::Statx::CODE, "STATX", "statx", (5, 6), Class::AlwaysWorker, FILE_CALL),
    row(opcode::Read::CODE, "READ", "read", (5, 6), Class::MayUseWorker, READ),
    row(opcode::Read::CODE, "READ", "read_select", (5, 19), Class::MayUseWorker, READ),
    row(opcode::Write::CODE, "WRITE", "write", (5, 6), Class::MayUseWorker, FILE_TRANSFER),
    row(opcode::Fadvise::CODE, "FADVISE", "fadvise", (5, 6), Class::MayUseWorker, LATE),
    row(opcode::Send::CODE, "SEND", "send", (5, 6), Class::PollDriven, TRANSFER),
    row(opcode::Recv::CODE, "RECV", "recv", (5, 6), Class::PollDriven, RECEIVE),
    row(opcode::Recv::CODE, "RECV", "recv_select", (5, 19), Class::PollDriven, RECEIVE),
    row(opcode::Recv::CODE, "RECV", "recv_multi", (6, 0), Class::PollDriven, MULTI),
    row(opcode::Recv::CODE, "RECV", "recv_incremental_multi", (6, 12), Class::PollDriven, MULTI),
    row(opcode::RecvMsg::CODE, "RECVMSG", "recv_msg_multi", (6, 0), Class::PollDriven, MULTI),
    row(opcode::EpollCtl::CODE, "EPOLL_CTL", "epoll_ctl", (5, 6), Class::MayUseWorker, LATE),
    row(opcode::Splice::CODE, "SPLICE", "splice", (5, 7), Class::AlwaysWorker, TRANSFER),
    row(opcode::Tee::CODE, "TEE", "tee", (5, 8), Class::AlwaysWorker, TRANSFER),
    row(opcode::Shutdown::CODE, "SHUTDOWN", "shutdown", (5, 11), Class::AlwaysWorker, LATE),
    row(opcode::RenameAt::CODE, "RENAMEAT", "rename_at", (5, 11), Class::AlwaysWorker, LATE),
    row(opcode::UnlinkAt::CODE, "UNLINKAT", "unlink_at", (5, 11), Class::AlwaysWorker, LATE),
    row(opcode::MkDirAt::CODE, "MKDIRAT", "mkdir_at", (5, 15), Class::AlwaysWorker, LATE),
    row(opcode::SymlinkAt::CODE, "SYMLINKAT", "symlink_at", (5, 15), Class::AlwaysWorker, LATE),
    row(opcode::LinkAt::CODE, "LINKAT", "link_at", (5, 15), Class::AlwaysWorker, LATE),
    row(opcode::Socket::CODE, "SOCKET", "socket", (5, 19), Class::Inline, WAITS),
    row(opcode::SendZc::CODE, "SEND_ZC", "send_zc", (6, 0), Class::PollDriven, TRANSFER),
    row(opcode::SendMsgZc::CODE, "SENDMSG_ZC", "sendmsg_zc", (6, 1), Class::PollDriven, WAITS),
    row(opcode::Bind::CODE, "BIND", "bind", (6, 11), Class::Inline, LATE),
    row(opcode::Listen::CODE, "LISTEN", "listen", (6, 11), Class::Inline, LATE),
    row(opcode::FSetXattr::CODE, "FSETXATTR", "f_set_xattr", (5, 19), Class::AlwaysWorker, LATE),
    row(opcode::SetXattr::CODE, "SETXATTR", "set_xattr", (5, 19), Class::AlwaysWorker, LATE),
    row(
        opcode::FGetXattr::CODE,
        "FGETXATTR",
        "f_get_xattr",
        (5, 19),
        Class::AlwaysWorker,
        FILE_CALL,
    ),
    row(opcode::GetXattr::CODE, "GETXATTR", "get_xattr", (5, 19), Class::AlwaysWorker, FILE_CALL),
    row(opcode::WaitId::CODE, "WAITID", "wait_id", (6, 7), Class::PollDriven, LATE),
    row(opcode::Ftruncate::CODE, "FTRUNCATE", "ftruncate", (6, 9), Class::AlwaysWorker, FILE_CALL),
    row(opcode::Pipe::CODE, "PIPE", "pipe", (6, 16), Class::Inline, LATE),
];

const fn row(
    opcode: u8,
    name: &'static str,
    file: &'static str,
    since: (u8, u8),
    class: Class,
    faults: &'static [Fault],
) -> OpcodeRow {
    OpcodeRow { opcode, name, file, since, class, faults }
}

/// The error of an op whose opcode this kernel lacks.
#[cold]
pub(crate) fn unsupported(opcode: u8) -> io::Error {
    let row = OPCODES.iter().find(|row| row.opcode == opcode);
    io::Error::new(io::ErrorKind::Unsupported, Unsupported { opcode, row })
}

#[derive(Debug)]
struct Unsupported {
    opcode: u8,
    row: Option<&'static OpcodeRow>,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(
                f,
                "this kernel's io_uring lacks IORING_OP_{}: it needs Linux {}.{} or newer, or a \
                 sandbox that allows it",
                row.name, row.since.0, row.since.1
            ),
            None => write!(f, "this kernel's io_uring lacks opcode {}", self.opcode),
        }
    }
}

impl std::error::Error for Unsupported {}

#[cfg(test)]
mod tests {
    use super::OPCODES;

    #[test]
    fn the_names_are_those_of_the_metrics() {
        for row in OPCODES {
            assert_eq!(crate::ring::opcode_name(row.opcode), row.name, "{}", row.opcode);
        }
    }
}

#[cfg(all(test, feature = "chaos"))]
mod chaos_tests {
    use super::OPCODES;
    use crate::ring::kernel::legal_faults;

    #[test]
    fn chaos_keeps_to_the_table() {
        for row in OPCODES {
            let multishot = row.file.ends_with("_multi");
            assert_eq!(
                legal_faults(row.opcode, multishot),
                row.faults,
                "{} {}",
                row.name,
                row.file
            );
        }
    }
}
