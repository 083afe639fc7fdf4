//! What each opcode does to user memory, and which results it may have.
//!
//! To teach the model an opcode: its row in [`effects`], and in [`any_result`] if its result is no
//! plain 0. An opcode without a row whose entry has an address panics.
//!
//! # Safety
//!
//! The addresses come from entries that were pushed under O1: they are good until the last
//! completion. Miri checks exactly that.

#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use io_uring::opcode;

use super::super::{
    IOSQE_FIXED_FILE, OP_POLL_ADD, OP_POLL_REMOVE, POLL_ADD_MULTI, Sqe, names_descriptor,
};
use super::descriptors::is_open;
use super::random::Random;

const BUFFER_SELECT: u8 = 1 << 5;
const ACCEPT_MULTISHOT: u16 = 1 << 0;
const RECV_MULTISHOT: u16 = 1 << 1;
const TIMEOUT_MULTISHOT: u32 = 1 << 6;
const TIMEOUT_ETIME_SUCCESS: u32 = 1 << 5;
/// `IORING_TIMEOUT_UPDATE` and `IORING_POLL_UPDATE_EVENTS`.
const UPDATE: u32 = 1 << 1;
const NOP_INJECT_RESULT: u32 = 1 << 0;
/// `struct statx`, `struct __kernel_timespec`, packed `struct epoll_event`, `struct open_how`.
const STATX_SIZE: usize = 256;
const TIMESPEC_SIZE: usize = 16;
const EPOLL_EVENT_SIZE: usize = 12;
const OPEN_HOW_SIZE: usize = 24;
/// What the kernel fills of a `siginfo_t`: six numbers.
const CHILD_INFO_SIZE: usize = 24;
const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;

/// `CMSG_SPACE` of one descriptor.
const RIGHTS_SIZE: usize = 24;

/// One thing that the kernel does to memory.
enum Effect {
    /// Reads at the submission (and here at the completion too).
    Input { address: u64, len: usize },
    /// Reads up to the NUL.
    Path(u64),
    /// Reads bytes of data, at the completion.
    Source { address: u64, len: usize },
    /// Writes as many bytes as the result says.
    Target { address: u64, len: usize },
    /// Writes all of it if the result is a success.
    Record { address: u64, len: usize },
    /// A socket address and its length: reads the room, writes both.
    PeerAddress { address: u64, len_address: u64 },
    /// A `msghdr` whose buffers are filled; its lengths and flags are written.
    FilledMessage(u64),
    /// Two descriptors that the kernel makes.
    Ends(u64),
}

fn effects(sqe: &Sqe) -> Vec<Effect> {
    use Effect::{Ends, FilledMessage, Input, Path, PeerAddress, Record, Source, Target};
    let (address, second, len) = (sqe.addr, sqe.off, sqe.len as usize);
    if sqe.flags & BUFFER_SELECT != 0 {
        return Vec::new();
    }
    match sqe.opcode {
        opcode::Read::CODE | opcode::ReadFixed::CODE | opcode::Recv::CODE => {
            vec![Target { address, len }]
        }
        opcode::Write::CODE | opcode::WriteFixed::CODE => vec![Source { address, len }],
        opcode::Send::CODE | opcode::SendZc::CODE => {
            // `sendto`: the second address, with its length in the low half.
            let to = Input { address: second, len: (sqe.file_index & 0xffff) as usize };
            vec![Source { address, len }, to]
        }
        opcode::Readv::CODE => vectors(address, len, |address, len| Target { address, len }),
        opcode::Writev::CODE => vectors(address, len, |address, len| Source { address, len }),
        opcode::SendMsg::CODE | opcode::SendMsgZc::CODE => sent_message(address),
        opcode::RecvMsg::CODE => vec![FilledMessage(address)],
        opcode::Accept::CODE => vec![PeerAddress { address, len_address: second }],
        opcode::Connect::CODE | opcode::Bind::CODE => {
            vec![Input { address, len: second as usize }]
        }
        opcode::OpenAt::CODE | opcode::UnlinkAt::CODE | opcode::MkDirAt::CODE => {
            vec![Path(address)]
        }
        opcode::OpenAt2::CODE => {
            vec![Path(address), Input { address: second, len: OPEN_HOW_SIZE }]
        }
        opcode::RenameAt::CODE | opcode::SymlinkAt::CODE | opcode::LinkAt::CODE => {
            vec![Path(address), Path(second)]
        }
        opcode::SetXattr::CODE => {
            vec![Path(address), Path(sqe.addr3), Input { address: second, len }]
        }
        opcode::FSetXattr::CODE => vec![Path(address), Input { address: second, len }],
        opcode::GetXattr::CODE => {
            vec![Path(address), Path(sqe.addr3), Target { address: second, len }]
        }
        opcode::FGetXattr::CODE => vec![Path(address), Target { address: second, len }],
        opcode::WaitId::CODE => vec![Record { address: second, len: CHILD_INFO_SIZE }],
        opcode::Pipe::CODE => vec![Ends(address)],
        opcode::Statx::CODE => {
            vec![Path(address), Record { address: second, len: STATX_SIZE }]
        }
        opcode::Timeout::CODE | opcode::LinkTimeout::CODE => {
            vec![Input { address, len: TIMESPEC_SIZE }]
        }
        opcode::EpollCtl::CODE => vec![Input { address, len: EPOLL_EVENT_SIZE }],
        opcode::TimeoutRemove::CODE if is_update(sqe) => {
            vec![Input { address: second, len: TIMESPEC_SIZE }]
        }
        // The address is a key, or nothing.
        opcode::Nop::CODE
        | OP_POLL_ADD
        | OP_POLL_REMOVE
        | opcode::AsyncCancel::CODE
        | opcode::TimeoutRemove::CODE
        | opcode::Splice::CODE
        | opcode::Fadvise::CODE
        | opcode::Fallocate::CODE => Vec::new(),
        _ => {
            assert!(sqe.addr == 0, "teach the model opcode {}: {sqe:?}", sqe.opcode);
            Vec::new()
        }
    }
}

/// What Linux copies in at the submission.
pub(super) fn at_submission(sqe: &Sqe) {
    check_descriptors(sqe);
    for effect in effects(sqe) {
        match effect {
            Effect::Input { address, len } => read(address, len),
            Effect::Path(address) => read_path(address),
            _ => {}
        }
    }
}

/// Whether a received message has room for a descriptor among its control messages.
pub(super) fn takes_descriptor(sqe: &Sqe, result: i32) -> bool {
    effects(sqe).iter().any(|effect| match effect {
        Effect::FilledMessage(address) if result >= 0 => {
            load::<libc::msghdr>(*address).msg_controllen >= RIGHTS_SIZE
        }
        _ => false,
    })
}

/// Puts a descriptor into the control messages of a received message.
pub(super) fn give_descriptor(sqe: &Sqe, fd: i32) {
    let mut header: libc::msghdr = load(sqe.addr);
    let at = header.msg_control as u64;
    store(at, &(RIGHTS_SIZE - 4));
    store(at + 8, &libc::SOL_SOCKET);
    store(at + 12, &libc::SCM_RIGHTS);
    store(at + 16, &fd);
    header.msg_controllen = RIGHTS_SIZE;
    store(sqe.addr, &header);
}

/// What Linux does until it posts `result`. A result of a transfer is within what was asked. It is
/// not the `first` answer if that was a result before the end of the memory's use. `open` makes a
/// descriptor.
pub(super) fn at_completion(
    sqe: &Sqe,
    result: i32,
    first: bool,
    random: &mut Random,
    mut open: impl FnMut() -> i32,
) {
    let closes = sqe.opcode == opcode::Close::CODE && sqe.file_index == 0;
    if first || !closes {
        check_descriptors(sqe);
    }
    let mut left = usize::try_from(result).unwrap_or(0);
    for effect in effects(sqe) {
        match effect {
            Effect::Input { address, len } | Effect::Source { address, len } => read(address, len),
            Effect::Path(address) => read_path(address),
            Effect::Target { address, len } => {
                let count = left.min(len);
                write(address, count, random);
                left -= count;
            }
            Effect::Record { address, len } if result >= 0 => write(address, len, random),
            Effect::PeerAddress { address, len_address } if result >= 0 && address != 0 => {
                write_address(address, len_address);
            }
            Effect::Ends(address) if first && result >= 0 => store(address, &[open(), open()]),
            Effect::FilledMessage(address) if result >= 0 => fill_message(address, left, random),
            _ => {}
        }
    }
    // The number is free before anything can fail, unless the entry was never begun.
    if first && closes && result != -libc::ECANCELED {
        // SAFETY: the op gave its descriptor away with this entry.
        drop(unsafe { OwnedFd::from_raw_fd(sqe.fd) });
    }
}

/// O4: the descriptors that the entry names are open. Where it names none the number is negative.
fn check_descriptors(sqe: &Sqe) {
    let is_number = match sqe.opcode {
        // It may be that of a process.
        opcode::WaitId::CODE => sqe.len == libc::P_PIDFD,
        opcode => sqe.flags & IOSQE_FIXED_FILE == 0 && names_descriptor(opcode),
    };
    let first = if is_number { sqe.fd } else { -1 };
    let second = match sqe.opcode {
        opcode::RenameAt::CODE | opcode::LinkAt::CODE => sqe.len as i32,
        opcode::EpollCtl::CODE => sqe.off as i32,
        opcode::Splice::CODE | opcode::Tee::CODE if sqe.op_flags & SPLICE_F_FD_IN_FIXED == 0 => {
            sqe.file_index as i32
        }
        _ => -1,
    };
    for fd in [first, second] {
        assert!(fd < 0 || is_open(fd), "descriptor {fd} was closed too early: {sqe:?}");
    }
}

/// A result that Linux may give, nobody having asked for the end. `open` makes a descriptor.
pub(super) fn any_result(sqe: &Sqe, random: &mut Random, open: impl FnOnce() -> i32) -> i32 {
    let asked = asked(sqe);
    let is_refused = sqe.opcode == opcode::Read::CODE && sqe.fd < 0 && sqe.addr == 0;
    if is_refused {
        return -libc::EBADF;
    }
    let fails = !matches!(sqe.opcode, opcode::Nop::CODE | opcode::Close::CODE);
    if fails && random.one_in(6) {
        return -[libc::EIO, libc::EINTR, libc::ENOMEM, 512][random.below(4)];
    }
    match sqe.opcode {
        opcode::Nop::CODE if sqe.op_flags & NOP_INJECT_RESULT != 0 => sqe.len as i32,
        opcode::Accept::CODE
        | opcode::OpenAt::CODE
        | opcode::OpenAt2::CODE
        | opcode::Socket::CODE => open(),
        OP_POLL_ADD => i32::from(libc::POLLIN),
        opcode::Timeout::CODE => -libc::ETIME,
        opcode::WaitId::CODE | opcode::Pipe::CODE => 0,
        opcode::Splice::CODE | opcode::Tee::CODE => random.below(sqe.len as usize + 1) as i32,
        // It is in no chain, or behind nothing that it could guard.
        opcode::LinkTimeout::CODE => -libc::EINVAL,
        _ if random.one_in(3) => asked as i32,
        _ => random.below(asked + 1) as i32,
    }
}

/// How many bytes the entry wants to be moved.
fn asked(sqe: &Sqe) -> usize {
    let len = |effect: &Effect| match effect {
        Effect::Target { len, .. } | Effect::Source { len, .. } => *len,
        Effect::FilledMessage(address) => message_room(*address),
        _ => 0,
    };
    effects(sqe).iter().map(len).sum()
}

/// Whether the entry changes its target instead of ending it.
pub(super) fn is_update(sqe: &Sqe) -> bool {
    match sqe.opcode {
        OP_POLL_REMOVE => sqe.len & UPDATE != 0,
        opcode::TimeoutRemove::CODE => sqe.op_flags & UPDATE != 0,
        _ => false,
    }
}

/// Whether the entry asks for many answers.
pub(super) fn is_multishot(sqe: &Sqe) -> bool {
    match sqe.opcode {
        OP_POLL_ADD => sqe.len & POLL_ADD_MULTI != 0,
        opcode::Accept::CODE => sqe.ioprio & ACCEPT_MULTISHOT != 0,
        opcode::Recv::CODE | opcode::RecvMsg::CODE => sqe.ioprio & RECV_MULTISHOT != 0,
        opcode::Timeout::CODE => sqe.op_flags & TIMEOUT_MULTISHOT != 0,
        _ => false,
    }
}

/// Whether the result comes before the end of the memory's use.
pub(super) fn is_zero_copy(sqe: &Sqe) -> bool {
    matches!(sqe.opcode, opcode::SendZc::CODE | opcode::SendMsgZc::CODE)
}

/// Whether a chain goes on behind this result: no error, and for files all that was asked.
pub(super) fn is_whole(sqe: &Sqe, result: i32) -> bool {
    match sqe.opcode {
        opcode::Read::CODE
        | opcode::Write::CODE
        | opcode::ReadFixed::CODE
        | opcode::WriteFixed::CODE
        | opcode::Readv::CODE
        | opcode::Writev::CODE => result >= 0 && result as usize >= asked(sqe),
        opcode::Splice::CODE | opcode::Tee::CODE => i64::from(result) == i64::from(sqe.len),
        opcode::Timeout::CODE if sqe.op_flags & TIMEOUT_ETIME_SUCCESS != 0 => {
            result >= 0 || result == -libc::ETIME
        }
        _ => result >= 0,
    }
}

fn vectors(address: u64, count: usize, of: impl Fn(u64, usize) -> Effect) -> Vec<Effect> {
    let size = size_of::<libc::iovec>();
    let mut all = vec![Effect::Input { address, len: count * size }];
    for index in 0..count {
        let vector: libc::iovec = load(address + (index * size) as u64);
        all.push(of(vector.iov_base as u64, vector.iov_len));
    }
    all
}

fn sent_message(address: u64) -> Vec<Effect> {
    let header: libc::msghdr = load(address);
    let mut all = vectors(header.msg_iov as u64, header.msg_iovlen, |address, len| {
        Effect::Source { address, len }
    });
    let (name, control) = (header.msg_name as u64, header.msg_control as u64);
    all.push(Effect::Input { address: name, len: header.msg_namelen as usize });
    all.push(Effect::Input { address: control, len: header.msg_controllen });
    all
}

fn message_vectors(header: &libc::msghdr) -> impl Iterator<Item = libc::iovec> {
    let first = header.msg_iov as u64;
    let count = header.msg_iovlen;
    (0..count).map(move |index| load(first + (index * size_of::<libc::iovec>()) as u64))
}

fn message_room(address: u64) -> usize {
    message_vectors(&load(address)).map(|vector| vector.iov_len).sum()
}

/// Fills the buffers of a `recvmsg`, its name and its control data, and writes the lengths back.
fn fill_message(address: u64, mut left: usize, random: &mut Random) {
    let mut header: libc::msghdr = load(address);
    for vector in message_vectors(&header) {
        let count = left.min(vector.iov_len);
        write(vector.iov_base as u64, count, random);
        left -= count;
    }
    if !header.msg_name.is_null() {
        header.msg_namelen = header.msg_namelen.min(size_of::<libc::sockaddr_in>() as u32);
        write_ipv4(header.msg_name as u64, header.msg_namelen as usize);
    }
    header.msg_controllen = 0;
    header.msg_flags = 0;
    store(address, &header);
}

fn write_address(address: u64, len_address: u64) {
    let room: libc::socklen_t = load(len_address);
    let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    write_ipv4(address, room.min(len) as usize);
    store(len_address, &len);
}

/// 127.0.0.1:7, as much of it as there is room for.
fn write_ipv4(address: u64, len: usize) {
    let mut bytes = [0_u8; 16];
    bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    bytes[3] = 7;
    bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
    for (offset, byte) in bytes[..len.min(bytes.len())].iter().enumerate() {
        store(address + offset as u64, byte);
    }
}

fn read(address: u64, len: usize) {
    if address == 0 {
        return;
    }
    for offset in 0..len as u64 {
        std::hint::black_box(load::<u8>(address + offset));
    }
}

fn read_path(address: u64) {
    let mut address = address;
    while load::<u8>(address) != 0 {
        address += 1;
    }
}

fn write(address: u64, len: usize, random: &mut Random) {
    for offset in 0..len as u64 {
        store(address + offset, &(random.next() as u8));
    }
}

/// The kernel knows addresses only: the op made them from pointers, which exposed those.
fn load<T: Copy>(address: u64) -> T {
    let pointer = ptr::with_exposed_provenance::<T>(address as usize);
    // SAFETY: O1: the entry's memory is there until its last completion, and initialised where
    // the kernel reads.
    unsafe { pointer.read_unaligned() }
}

fn store<T: Copy>(address: u64, value: &T) {
    let pointer = ptr::with_exposed_provenance_mut::<T>(address as usize);
    // SAFETY: O1: the entry's memory is there until its last completion, and may be written.
    unsafe { pointer.write_unaligned(*value) };
}
