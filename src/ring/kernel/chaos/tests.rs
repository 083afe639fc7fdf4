//! Chaos itself: it does each of its faults, and no other.
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;

use io_uring::opcode;

use super::super::{
    CQE_F_MORE, Cqe, Fault, IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_LINK, OP_ASYNC_CANCEL, OP_POLL_ADD,
    POLL_ADD_MULTI, Request, Setup, Sqe, Wait,
};
use super::dice::Odds;
use super::{Kernel, faults, files, submit};

fn open(odds: Option<(u64, Odds)>) -> Kernel {
    let setup = Setup {
        single_issuer: true,
        defer_taskrun: true,
        taskrun_flag: true,
        submit_all: true,
        ..Setup::default()
    };
    let chaos = odds.map(|(seed, _)| seed);
    let request = Request { setup, sq_entries: 8, cq_entries: 16, pretend: None, chaos };
    let (mut kernel, _) = Kernel::open(&request).unwrap();
    if let (Some(mischief), Some((_, odds))) = (&mut kernel.mischief, odds) {
        mischief.odds = odds;
    }
    kernel
}

fn entry(opcode: u8, fd: i32, user_data: u64) -> Sqe {
    let mut sqe = Sqe::new(opcode);
    sqe.fd = fd;
    sqe.user_data = user_data;
    sqe
}

fn push(kernel: &mut Kernel, chain: &[Sqe]) {
    // SAFETY: the buffers of these tests outlive the ring's use of them.
    unsafe { kernel.push(chain) }.unwrap();
}

fn collect(kernel: &mut Kernel, turns: u32) -> Vec<Cqe> {
    let mut cqes = Vec::new();
    for _ in 0..turns {
        kernel.enter(Wait::No).unwrap();
        while let Some(cqe) = kernel.pop() {
            cqes.push(cqe);
        }
    }
    cqes
}

#[test]
fn without_a_seed_all_passes_through() {
    if std::env::var_os("RINGSPUN_CHAOS_SEED").is_some() {
        return;
    }
    let mut kernel = open(None);
    assert!(kernel.chaos_counters().is_none());
    for round in 0..20 {
        for at in 0..8 {
            push(&mut kernel, &[entry(opcode::Nop::CODE, -1, round * 8 + at)]);
        }
        assert_eq!(kernel.queued(), 8);
        assert_eq!(kernel.enter(Wait::No).unwrap().submitted, 8);
        let answers: Vec<u64> = std::iter::from_fn(|| kernel.pop()).map(|c| c.user_data).collect();
        assert_eq!(answers, (round * 8..round * 8 + 8).collect::<Vec<_>>());
    }
}

#[test]
fn each_entry_is_answered_once_and_chains_in_order() {
    let mut reordered = 0;
    for seed in 0..50 {
        let mut kernel = open(Some((seed, Odds::ALL)));
        let mut seen = BTreeMap::new();
        for at in 0..40 {
            let mut first = entry(opcode::Nop::CODE, -1, at * 2);
            first.flags = IOSQE_IO_LINK;
            let chain = [first, entry(opcode::Nop::CODE, -1, at * 2 + 1)];
            // SAFETY: no-ops have no pointers.
            while unsafe { kernel.push(&chain) }.is_err() {
                record(&mut seen, collect(&mut kernel, 1));
            }
        }
        record(&mut seen, collect(&mut kernel, 60));
        assert_eq!(seen.len(), 80, "seed {seed}");
        assert!(kernel.queued() == 0);
        let in_order = (0..40).all(|at| seen[&(at * 2)] < seen[&(at * 2 + 1)]);
        assert!(in_order, "seed {seed}: a chain's answers changed places");
        reordered += kernel.chaos_counters().unwrap().reordered;
    }
    assert!(reordered > 0);
}

fn record(seen: &mut BTreeMap<u64, usize>, cqes: Vec<Cqe>) {
    for cqe in cqes {
        assert_eq!(cqe.result, 0, "a no-op meets no error");
        let place = seen.len();
        assert!(seen.insert(cqe.user_data, place).is_none(), "answered twice");
    }
}

#[test]
fn a_withheld_target_is_cancelled_before_it_starts() {
    let odds = Odds { late_submission: 1000, ..Odds::NONE };
    for seed in 0..50 {
        let mut kernel = open(Some((seed, odds)));
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut buf = [0_u8; 8];
        let mut read = entry(opcode::Read::CODE, reader.as_raw_fd(), 7);
        (read.addr, read.len, read.off) = (buf.as_mut_ptr() as u64, 8, u64::MAX);
        push(&mut kernel, &[read]);
        kernel.enter(Wait::No).unwrap();
        let mut cancel = entry(OP_ASYNC_CANCEL, -1, 9);
        (cancel.addr, cancel.flags) = (7, IOSQE_CQE_SKIP_SUCCESS);
        push(&mut kernel, &[cancel]);
        let cqes = collect(&mut kernel, 20);
        let target = cqes.iter().find(|cqe| cqe.user_data == 7).map(|cqe| cqe.result);
        assert!([-libc::ECANCELED, -libc::EINTR, -512].map(Some).contains(&target), "{target:?}");
        let answer = cqes.iter().find(|cqe| cqe.user_data == 9).map(|cqe| cqe.result);
        let by_signal = target != Some(-libc::ECANCELED);
        assert_eq!(answer, by_signal.then_some(-libc::EALREADY));
    }
}

#[test]
fn an_error_at_the_head_ends_the_chain() {
    let odds = Odds { no_memory: 1000, ..Odds::NONE };
    let mut kernel = open(Some((1, odds)));
    let mut read = entry(opcode::Read::CODE, 0, 1);
    read.flags = IOSQE_IO_LINK;
    push(&mut kernel, &[read, entry(opcode::Nop::CODE, -1, 2)]);
    let results: Vec<i32> = collect(&mut kernel, 3).iter().map(|cqe| cqe.result).collect();
    assert_eq!(results, [-libc::ENOMEM, -libc::ECANCELED]);
}

#[test]
fn a_multishot_ends_with_an_item() {
    let odds = Odds { ends_early: 1000, ..Odds::NONE };
    let mut kernel = open(Some((1, odds)));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut poll = entry(OP_POLL_ADD, reader.as_raw_fd(), 5);
    (poll.len, poll.op_flags) = (POLL_ADD_MULTI, libc::POLLIN as u32);
    push(&mut kernel, &[poll]);
    kernel.enter(Wait::No).unwrap();
    writer.write_all(b"x").unwrap();
    let cqes = collect(&mut kernel, 10);
    let [last] = cqes[..] else { panic!("one item, and nothing after it: {cqes:?}") };
    assert!(last.result > 0 && last.flags & CQE_F_MORE == 0);
    assert_eq!(kernel.chaos_counters().unwrap().ended_early, 1);
    writer.write_all(b"y").unwrap();
    assert!(collect(&mut kernel, 5).is_empty(), "the kernel has stopped");
}

#[test]
fn only_what_can_be_short_is_shortened() {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = tempfile::tempfile().unwrap();
    let (stream, _stream) = std::os::unix::net::UnixStream::pair().unwrap();
    let (datagram, _datagram) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let asks = |opcode: u8, fd: i32, len: u32, op_flags: u32| {
        let sqe = Sqe { len, op_flags, ..entry(opcode, fd, 1) };
        files::may_be_short(&sqe)
    };
    let whole = libc::MSG_WAITALL as u32;
    assert!(asks(opcode::Read::CODE, reader.as_raw_fd(), 10, 0));
    assert!(asks(opcode::Read::CODE, file.as_raw_fd(), 10, 0));
    assert!(asks(opcode::Recv::CODE, stream.as_raw_fd(), 10, 0));
    assert!(asks(opcode::Write::CODE, writer.as_raw_fd(), 5000, 0));
    assert!(!asks(opcode::Read::CODE, reader.as_raw_fd(), 1, 0), "not to nothing");
    assert!(!asks(opcode::Write::CODE, writer.as_raw_fd(), 4096, 0), "PIPE_BUF");
    assert!(!asks(opcode::Recv::CODE, stream.as_raw_fd(), 10, whole));
    assert!(!asks(opcode::Recv::CODE, datagram.as_raw_fd(), 10, 0));
    assert!(!asks(opcode::Read::CODE, datagram.as_raw_fd(), 10, 0));
    let linked =
        Sqe { len: 10, flags: IOSQE_IO_LINK, ..entry(opcode::Read::CODE, file.as_raw_fd(), 1) };
    assert!(!files::may_be_short(&linked), "it would have cut the chain");
}

#[test]
fn a_chain_is_whole_or_it_is_none() {
    let linked = Sqe { flags: IOSQE_IO_LINK, ..Sqe::new(0) };
    assert!(submit::is_whole(&[linked, Sqe::new(0)]) && submit::is_whole(&[Sqe::new(0)]));
    assert!(!submit::is_whole(&[linked]) && !submit::is_whole(&[Sqe::new(0), Sqe::new(0)]));
}

#[test]
fn what_is_not_in_the_table_is_left_alone() {
    assert!(faults::legal(250, false).is_empty());
    for fault in [Fault::Interrupted, Fault::NoMemory, Fault::Short] {
        assert!(!faults::legal(opcode::Close::CODE, false).contains(&fault), "the fd is gone");
        assert!(!faults::legal(OP_ASYNC_CANCEL, false).contains(&fault));
        assert!(!faults::legal(OP_POLL_ADD, true).contains(&fault));
    }
}
