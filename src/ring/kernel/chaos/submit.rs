//! The way in: what happens to a chain between the ring's push and the kernel's queue.
//!
//! # Safety
//!
//! See `mod.rs`: entries are handed on by value, under the promise with which they were pushed.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::super::{
    Fault, Full, IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_IO_HARDLINK, IOSQE_IO_LINK,
    OP_ASYNC_CANCEL, Sqe, Wait, uring,
};
use super::{IN_A_ROW_MAX, Mischief, faults, files};

/// The submission queue as the ring sees it, and what was taken from it but not handed on.
#[derive(Debug)]
pub(super) struct Entrance {
    entries: usize,
    queued: usize,
    queue: VecDeque<Vec<Sqe>>,
    withheld: VecDeque<Withheld>,
    /// Errors in a row, by op: a restart comes under the same name.
    streaks: BTreeMap<u64, u8>,
}

#[derive(Debug)]
struct Withheld {
    chain: Vec<Sqe>,
    /// The turn from which on it may go.
    due: u64,
}

/// How many enters a chain is withheld at most, if nothing stands before it.
const WITHHELD_TURNS_MAX: u32 = 4;

impl Entrance {
    pub(super) fn new(entries: u32) -> Entrance {
        Entrance {
            entries: entries as usize,
            queued: 0,
            queue: VecDeque::new(),
            withheld: VecDeque::new(),
            streaks: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, chain: &[Sqe]) -> Result<(), Full> {
        if self.queued + chain.len() > self.entries {
            return Err(Full);
        }
        self.queued += chain.len();
        self.queue.push_back(chain.to_vec());
        Ok(())
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn withholds(&self) -> bool {
        !self.withheld.is_empty()
    }

    /// Those whose time has come. What stands behind another on the same descriptor is due later.
    fn due(&mut self, turn: u64) -> Vec<Vec<Sqe>> {
        let mut chains = Vec::new();
        let mut waiting = VecDeque::new();
        for withheld in self.withheld.drain(..) {
            if withheld.due <= turn {
                chains.push(withheld.chain);
            } else {
                waiting.push_back(withheld);
            }
        }
        self.withheld = waiting;
        chains
    }

    /// Where an op stands among what is withheld: which chain, which member.
    fn find(&self, user_data: u64) -> Option<(usize, usize)> {
        self.withheld.iter().enumerate().find_map(|(at, withheld)| {
            let member = withheld.chain.iter().position(|sqe| sqe.user_data == user_data)?;
            Some((at, member))
        })
    }

    /// The turn before which this chain would overtake what it must not.
    fn behind(&self, chain: &[Sqe]) -> u64 {
        let barrier = chain.iter().any(faults::is_barrier);
        let before = self.withheld.iter().filter(|withheld| {
            barrier
                || chain.iter().any(|sqe| {
                    withheld.chain.iter().any(|before| {
                        file(sqe).is_some_and(|file_| Some(file_) == file(before))
                            || faults::target(sqe) == Some(before.user_data)
                            || faults::is_barrier(before)
                    })
                })
        });
        before.map(|withheld| withheld.due).max().unwrap_or(0)
    }
}

/// The descriptor, or the registered file.
fn file(sqe: &Sqe) -> Option<(i32, bool)> {
    (sqe.fd >= 0).then_some((sqe.fd, sqe.flags & IOSQE_FIXED_FILE != 0))
}

impl Mischief {
    /// Hands over a prefix of the queue, and what was withheld long enough. Answers how many
    /// entries of the queue are the kernel's now, as far as the ring can see.
    pub(super) fn submit(&mut self, real: &mut uring::Kernel) -> io::Result<usize> {
        let mut chains: Vec<Vec<Sqe>> = self.board.cancels();
        chains.extend(self.entrance.due(self.turn));
        let mut cut = self.entrance.queue.len();
        let partial = cut > 0 && self.refusals < IN_A_ROW_MAX;
        if partial && self.dice.chance(self.odds.enter_partial) {
            self.refusals += 1;
            self.counters.enter_partial += 1;
            cut = self.dice.below(cut as u32) as usize;
        }
        let mut submitted = 0;
        for _ in 0..cut {
            let Some(chain) = self.entrance.queue.pop_front() else { break };
            submitted += chain.len();
            self.entrance.queued -= chain.len();
            self.accept(chain, &mut chains);
        }
        for chain in chains {
            hand_over(real, &chain)?;
        }
        Ok(submitted)
    }

    /// Decides what becomes of a chain.
    fn accept(&mut self, mut chain: Vec<Sqe>, out: &mut Vec<Vec<Sqe>>) {
        if self.is_cancel_of_withheld(&chain) {
            return;
        }
        while let Some(errno) = self.error_for(&chain) {
            if self.end_head(&mut chain, -errno) {
                return;
            }
        }
        self.board.track(&chain);
        if let Some(last) = chain.last_mut()
            && files::may_be_short(last)
            && self.dice.chance(self.odds.short)
        {
            last.len = 1 + self.dice.below(last.len - 1);
            self.counters.short += 1;
        }
        let behind = self.entrance.behind(&chain);
        let mut due = behind;
        let late = chain.iter().all(|sqe| faults::allows(sqe, Fault::Late));
        if late && self.dice.chance(self.odds.late_submission) {
            due = due.max(self.turn) + 1 + u64::from(self.dice.below(WITHHELD_TURNS_MAX));
        }
        if due > self.turn {
            self.counters.late_submission += 1;
            self.entrance.withheld.push_back(Withheld { chain, due });
        } else {
            out.push(chain);
        }
    }

    /// The head ends with `result` and what is behind a soft link with it. True: nothing is left.
    fn end_head(&mut self, chain: &mut Vec<Sqe>, result: i32) -> bool {
        self.board.track(chain);
        let head = chain.remove(0);
        self.post(head.user_data, result);
        if head.flags & IOSQE_IO_LINK != 0 {
            for sqe in chain.drain(..) {
                self.post(sqe.user_data, -libc::ECANCELED);
            }
        }
        chain.is_empty()
    }

    /// The error that the head of the chain meets instead of the kernel, if so.
    fn error_for(&mut self, chain: &[Sqe]) -> Option<i32> {
        let head = chain.first()?;
        let interrupted =
            if chain.len() > 1 && !self.odds.interrupts_chains { 0 } else { self.odds.interrupted };
        let streak = self.entrance.streaks.get(&head.user_data).copied().unwrap_or(0);
        let counters = &mut self.counters;
        for (fault, odds, errno, count) in [
            (Fault::Interrupted, interrupted, libc::EINTR, &mut counters.interrupted),
            (Fault::Again, self.odds.again, libc::EAGAIN, &mut counters.again),
            (Fault::NoMemory, self.odds.no_memory, libc::ENOMEM, &mut counters.no_memory),
            (Fault::NoBuffers, self.odds.no_buffers, libc::ENOBUFS, &mut counters.no_buffers),
        ] {
            let legal = streak < IN_A_ROW_MAX && faults::allows(head, fault);
            if legal && self.dice.chance(odds) {
                *count += 1;
                self.entrance.streaks.insert(head.user_data, streak + 1);
                return Some(errno);
            }
        }
        self.entrance.streaks.remove(&head.user_data);
        None
    }

    /// Answers a cancel whose target the kernel has not seen, as the kernel would.
    fn is_cancel_of_withheld(&mut self, chain: &[Sqe]) -> bool {
        let [cancel] = chain else { return false };
        if cancel.opcode != OP_ASYNC_CANCEL || cancel.op_flags != 0 {
            return false;
        }
        self.board.cancel_seen(cancel.addr);
        let Some((at, member)) = self.entrance.find(cancel.addr) else { return false };
        self.board.track(chain);
        if member > 0 {
            self.post(cancel.user_data, -libc::ENOENT);
            return true;
        }
        let Some(Withheld { chain: mut target, due }) = self.entrance.withheld.remove(at) else {
            return false;
        };
        self.counters.cancelled += 1;
        let in_worker = faults::may_use_worker(target[0].opcode) && self.dice.chance(300);
        let signal = if self.dice.chance(500) { libc::EINTR } else { 512 };
        let result = if in_worker { -signal } else { -libc::ECANCELED };
        let answer = if in_worker { -libc::EALREADY } else { 0 };
        let cancel_first = self.dice.chance(500);
        let silent = answer == 0 && cancel.flags & IOSQE_CQE_SKIP_SUCCESS != 0;
        if cancel_first && !silent {
            self.post(cancel.user_data, answer);
        }
        if !self.end_head(&mut target, result) {
            // Behind a hard link the rest goes on, in its old place.
            self.entrance.withheld.insert(at, Withheld { chain: target, due });
        }
        if !cancel_first && !silent {
            self.post(cancel.user_data, answer);
        }
        true
    }
}

/// Into the real queue; a full one is entered first.
fn hand_over(real: &mut uring::Kernel, chain: &[Sqe]) -> io::Result<()> {
    const TRIES_MAX: u32 = 1000;
    debug_assert!(is_whole(chain), "a chain was split");
    for _ in 0..TRIES_MAX {
        // SAFETY: O1 and O2 were promised when this chain was pushed, until its last completion,
        // and none was delivered; chaos' own cancels have no pointers.
        if unsafe { real.push(chain) }.is_ok() {
            return Ok(());
        }
        real.enter(Wait::No)?;
    }
    Err(io::Error::other("chaos: the kernel took nothing from a full queue"))
}

/// All but the last entry are linked to the next.
pub(super) fn is_whole(chain: &[Sqe]) -> bool {
    let linked = |sqe: &Sqe| sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK) != 0;
    chain.split_last().is_some_and(|(last, rest)| !linked(last) && rest.iter().all(linked))
}
