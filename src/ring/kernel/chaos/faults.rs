//! The fault table: which opcode may meet which fault. `op/table.rs` names the same for its rows,
//! and a test compares the two; this one is here because the ring knows no op.
//!
//! An opcode that is not in the table meets no fault at all.

use io_uring::opcode;

use super::super::{Fault, OP_ASYNC_CANCEL, OP_POLL_ADD, OP_POLL_REMOVE, POLL_ADD_MULTI, Sqe};

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
const CALL: &[Fault] = &[Fault::Interrupted, Fault::NoMemory, Fault::Late];
const MULTI: &[Fault] = &[Fault::EndsEarly, Fault::Late];

/// What may befall an opcode, as one answer or as many.
pub(crate) fn legal(code: u8, multishot: bool) -> &'static [Fault] {
    match code {
        opcode::Accept::CODE | opcode::Recv::CODE | opcode::RecvMsg::CODE | OP_POLL_ADD
            if multishot =>
        {
            MULTI
        }
        opcode::Readv::CODE
        | opcode::Writev::CODE
        | opcode::ReadFixed::CODE
        | opcode::WriteFixed::CODE
        | opcode::Write::CODE => FILE_TRANSFER,
        opcode::Read::CODE => READ,
        opcode::Send::CODE | opcode::SendZc::CODE | opcode::Splice::CODE | opcode::Tee::CODE => {
            TRANSFER
        }
        opcode::Recv::CODE => RECEIVE,
        opcode::Fsync::CODE
        | opcode::Accept::CODE
        | opcode::SendMsg::CODE
        | opcode::SendMsgZc::CODE
        | opcode::RecvMsg::CODE
        | opcode::Socket::CODE
        | opcode::Fallocate::CODE
        | opcode::OpenAt::CODE
        | opcode::OpenAt2::CODE
        | opcode::GetXattr::CODE
        | opcode::FGetXattr::CODE
        | opcode::Ftruncate::CODE
        | opcode::Statx::CODE => CALL,
        opcode::Nop::CODE
        | OP_POLL_ADD
        | OP_POLL_REMOVE
        | opcode::Timeout::CODE
        | opcode::TimeoutRemove::CODE
        | OP_ASYNC_CANCEL
        | opcode::LinkTimeout::CODE
        | opcode::Connect::CODE
        | opcode::Close::CODE
        | opcode::EpollCtl::CODE
        | opcode::Shutdown::CODE
        | opcode::Bind::CODE
        | opcode::Listen::CODE
        | opcode::RenameAt::CODE
        | opcode::UnlinkAt::CODE
        | opcode::MkDirAt::CODE
        | opcode::SymlinkAt::CODE
        | opcode::LinkAt::CODE
        | opcode::SyncFileRange::CODE
        | opcode::Fadvise::CODE
        | opcode::SetXattr::CODE
        | opcode::FSetXattr::CODE
        | opcode::WaitId::CODE
        | opcode::Pipe::CODE => LATE,
        _ => &[],
    }
}

/// Whether this fault is legal for this very entry.
pub(super) fn allows(sqe: &Sqe, fault: Fault) -> bool {
    legal(sqe.opcode, is_multishot(sqe)).contains(&fault)
        && match fault {
            Fault::Again => sqe.op_flags & libc::RWF_NOWAIT as u32 != 0,
            Fault::NoBuffers => selects_buffer(sqe),
            _ => true,
        }
}

/// An entry with many answers.
pub(super) fn is_multishot(sqe: &Sqe) -> bool {
    const ACCEPT_MULTISHOT: u16 = 1 << 0;
    const RECV_MULTISHOT: u16 = 1 << 1;
    const TIMEOUT_MULTISHOT: u32 = 1 << 6;
    match sqe.opcode {
        OP_POLL_ADD => sqe.len & POLL_ADD_MULTI != 0,
        opcode::Accept::CODE => sqe.ioprio & ACCEPT_MULTISHOT != 0,
        opcode::Recv::CODE | opcode::RecvMsg::CODE => sqe.ioprio & RECV_MULTISHOT != 0,
        opcode::Timeout::CODE => sqe.op_flags & TIMEOUT_MULTISHOT != 0,
        _ => false,
    }
}

pub(super) fn selects_buffer(sqe: &Sqe) -> bool {
    const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
    sqe.flags & IOSQE_BUFFER_SELECT != 0
}

/// Cancelled in a kernel worker an op may answer with a signal's code instead of `ECANCELED`.
pub(super) fn may_use_worker(code: u8) -> bool {
    matches!(
        code,
        opcode::Fsync::CODE
            | opcode::Fallocate::CODE
            | opcode::OpenAt::CODE
            | opcode::OpenAt2::CODE
            | opcode::GetXattr::CODE
            | opcode::FGetXattr::CODE
            | opcode::Ftruncate::CODE
            | opcode::Splice::CODE
            | opcode::Tee::CODE
            | opcode::Statx::CODE
            | opcode::Read::CODE
            | opcode::Readv::CODE
            | opcode::Write::CODE
            | opcode::Writev::CODE
            | opcode::ReadFixed::CODE
            | opcode::WriteFixed::CODE
    )
}

/// Acts on more than its own descriptor, or nobody knows on what: stays behind all before it.
pub(super) fn is_barrier(sqe: &Sqe) -> bool {
    match sqe.opcode {
        OP_ASYNC_CANCEL => sqe.op_flags != 0,
        opcode::EpollCtl::CODE => true,
        opcode::Close::CODE => sqe.file_index != 0,
        code => legal(code, is_multishot(sqe)).is_empty(),
    }
}

/// The `user_data` of another entry that this one acts on.
pub(super) fn target(sqe: &Sqe) -> Option<u64> {
    matches!(sqe.opcode, OP_ASYNC_CANCEL | OP_POLL_REMOVE | opcode::TimeoutRemove::CODE)
        .then_some(sqe.addr)
}
