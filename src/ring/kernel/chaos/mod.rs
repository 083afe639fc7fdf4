//! Fault injection between the ring and the kernel: by a seed it does what Linux legally may.
//!
//! ```text
//!  ring --push--> queue --enter--> withheld? --> io_uring --> held back? --> ready --pop--> ring
//!                            |                                    ^
//!                            +--- made up: EINTR, ECANCELED ... --+
//! ```
//!
//! **The rule: decide before the kernel acts, and never edit what it answered.** A fault that Linux
//! cannot cause would be a false alarm, and one of those costs the trust in all others. So:
//!
//! - *Errors* (`EINTR`, `EAGAIN`, `ENOMEM`, `ENOBUFS`): the entry is not submitted and its answer
//!   is made up. Only at the head of a chain, for whether a later member starts is the kernel's to
//!   say; what stands behind a soft link ends with `ECANCELED` and is not submitted either, what
//!   stands behind a hard one is. `EAGAIN` only for reads and writes that were told not to wait,
//!   `ENOBUFS` only with a buffer group; never for multishots, cancels, timeouts, close, connect,
//!   no-ops.
//! - *ECANCELED*: only after somebody asked, or behind a soft link. A race is made by withholding
//!   the target until its cancel comes: then both are answered as the kernel would (`ECANCELED` and
//!   0; where a worker could have had it also a signal's code and `EALREADY`). A member that stands
//!   behind the head of a withheld chain is not found: `ENOENT`, and it goes on waiting.
//! - *Short transfers*: `len` of the entry is lowered, never to 0. Not for datagrams, packets,
//!   whole records (eventfd and its like), O_DIRECT, pipe writes up to PIPE_BUF, MSG_WAITALL,
//!   chosen buffers, and not in front of a link, which it would have cut.
//! - *Late and in another order*: a withheld chain stays whole and stays behind what was withheld
//!   before it on the same descriptor. Completions of one multishot keep their order, so do those
//!   of one chain, a result and its notification, and all that carry chosen buffers. Late means
//!   never early: timers are safe.
//! - *A multishot ends early*: it is really cancelled; its last item is kept until the kernel has
//!   said the final word, which is swallowed, and then delivered as the last one.
//! - *Direct calls* that do not wait: `WouldBlock`, and fewer bytes of a stream's write. Never of
//!   what is a datagram or a record.
//! - *enter*: `EINTR` only with nothing to submit and a wait; `EBUSY` only while the queue is
//!   over-full; what is submitted is a prefix, cut between chains; a wait may end early with
//!   nothing.
//! - Never: a result beyond what was asked; memory written without a completion to follow.
//!
//! Everything that is withheld or held back goes its way after a few enters, faults of one op or of
//! `enter` come at most a few times in a row, and while anything is held no sleep is long. All
//! decisions follow from the seed and the sequence of calls. Without a seed all is passed through.
//!
//! # Safety
//!
//! Entries are kept as plain values and handed on; what they point to is promised by whoever pushed
//! them, until their last completion (O1, O2), and that promise covers the time in here.

#![allow(unsafe_code)]

mod complete;
mod dice;
mod faults;
mod files;
mod seed;
mod submit;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Deref;
use std::time::{Duration, Instant};

use self::complete::Board;
pub(crate) use self::dice::ChaosCounters;
use self::dice::{Dice, Odds};
#[cfg(test)]
pub(crate) use self::faults::legal;
use self::submit::Entrance;
use super::direct::Disturbance;
use super::{Capabilities, Cqe, Entered, Flags, Full, Request, Sqe, Wait, Why, uring};

/// The real kernel, and between it and the ring somebody who means ill.
#[derive(Debug)]
pub(crate) struct Kernel {
    real: uring::Kernel,
    mischief: Option<Box<Mischief>>,
}

/// What there is besides the real kernel when there is a seed.
#[derive(Debug)]
struct Mischief {
    dice: Dice,
    odds: Odds,
    counters: ChaosCounters,
    /// How many enters there were: the clock of everything that is held.
    turn: u64,
    entrance: Entrance,
    board: Board,
    /// Enters in a row that did nothing.
    refusals: u8,
    /// Direct calls in a row that found no room.
    calls_refused: u8,
}

/// How often in a row one kind of fault may come.
const IN_A_ROW_MAX: u8 = 3;
/// How long a sleep may be while something is held.
const HELD_WAIT: Duration = Duration::from_micros(100);

impl Kernel {
    pub(crate) fn open(request: &Request) -> io::Result<(Kernel, Capabilities)> {
        let Some(plan) = seed::plan(request) else {
            let (real, capabilities) = uring::Kernel::open(request)?;
            return Ok((Kernel { real, mischief: None }, capabilities));
        };
        let (real, capabilities) = uring::Kernel::open(&plan.shrink(request))?;
        let mischief = Mischief::new(plan.seed, plan.odds, capabilities.sq_entries);
        Ok((Kernel { real, mischief: Some(Box::new(mischief)) }, capabilities))
    }

    /// As for the real kernel.
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for each entry.
    #[inline]
    pub(crate) unsafe fn push(&mut self, chain: &[Sqe]) -> Result<(), Full> {
        match &mut self.mischief {
            // SAFETY: the caller's promise.
            None => unsafe { self.real.push(chain) },
            Some(mischief) => mischief.entrance.push(chain),
        }
    }

    /// Like `push`, for one entry.
    ///
    /// # Safety
    ///
    /// O1 and O2 hold for the entry.
    #[inline]
    pub(crate) unsafe fn push_one(&mut self, words: [u64; 8]) -> Result<(), Full> {
        match &mut self.mischief {
            // SAFETY: the caller's promise.
            None => unsafe { self.real.push_one(words) },
            Some(mischief) => mischief.entrance.push(&[Sqe::from_words(words)]),
        }
    }

    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<Entered> {
        let Some(mischief) = &mut self.mischief else { return self.real.enter(wait) };
        let entered = mischief.enter(&mut self.real, wait);
        mischief.take_in(&mut self.real);
        entered
    }

    /// What becomes of a call that does not wait and would move so many bytes: it may find no room,
    /// or move a part.
    pub(crate) fn disturb(&mut self, bytes: usize) -> Disturbance {
        let Some(mischief) = &mut self.mischief else { return Disturbance::Go };
        mischief.disturb(bytes)
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Cqe> {
        let Some(mischief) = &mut self.mischief else { return self.real.pop() };
        if !mischief.board.is_ready() {
            mischief.take_in(&mut self.real);
        }
        mischief.board.pop(&mut mischief.counters)
    }

    #[inline]
    pub(crate) fn flags(&mut self) -> Flags {
        let Some(mischief) = &mut self.mischief else { return self.real.flags() };
        mischief.take_in(&mut self.real);
        let flags = self.real.flags();
        Flags {
            // Only an enter brings what is held nearer.
            taskrun: flags.taskrun || mischief.holds(),
            overflow: flags.overflow,
            cq_ready: flags.cq_ready || mischief.board.is_ready(),
        }
    }

    #[inline]
    pub(crate) fn queued(&mut self) -> usize {
        let queued = self.mischief.as_ref().map_or(0, |mischief| mischief.entrance.queued());
        queued + self.real.queued()
    }

    /// How often each fault has happened; `None` without a seed.
    #[allow(dead_code, reason = "read by tests and dumps")]
    pub(crate) fn chaos_counters(&self) -> Option<ChaosCounters> {
        self.mischief.as_ref().map(|mischief| mischief.counters)
    }

    #[inline]
    pub(crate) fn now() -> Instant {
        uring::Kernel::now()
    }
}

/// Registration and the notifier are the real kernel's.
impl Deref for Kernel {
    type Target = uring::Kernel;

    fn deref(&self) -> &uring::Kernel {
        &self.real
    }
}

impl Mischief {
    fn new(seed: u64, odds: Odds, sq_entries: u32) -> Mischief {
        Mischief {
            dice: Dice::new(seed),
            odds,
            counters: ChaosCounters::default(),
            turn: 0,
            entrance: Entrance::new(sq_entries),
            board: Board::default(),
            refusals: 0,
            calls_refused: 0,
        }
    }

    fn disturb(&mut self, bytes: usize) -> Disturbance {
        if self.calls_refused < IN_A_ROW_MAX && self.dice.chance(self.odds.direct_again) {
            self.calls_refused += 1;
            self.counters.direct_again += 1;
            return Disturbance::WouldBlock;
        }
        self.calls_refused = 0;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes > 1 && self.dice.chance(self.odds.direct_short) {
            self.counters.direct_short += 1;
            return Disturbance::AtMost(1 + self.dice.below(bytes - 1) as usize);
        }
        Disturbance::Go
    }

    /// Something goes on in here that only enters bring to its end.
    fn holds(&self) -> bool {
        self.entrance.withholds() || self.board.holds()
    }

    fn enter(&mut self, real: &mut uring::Kernel, wait: Wait) -> io::Result<Entered> {
        self.turn += 1;
        if let Some(why) = self.refuses(real, wait) {
            return Ok(Entered { submitted: 0, why });
        }
        let asked = self.entrance.queued();
        let submitted = self.submit(real)?;
        self.board.release(self.turn);
        let early = self.refusals < IN_A_ROW_MAX && self.dice.chance(self.odds.enter_early);
        let shortened = match wait {
            _ if submitted < asked || self.board.is_ready() => Wait::No,
            Wait::AtMost(_) | Wait::Forever if early => {
                self.refusals += 1;
                self.counters.enter_early += 1;
                Wait::No
            }
            Wait::AtMost(duration) if self.holds() => Wait::AtMost(duration.min(HELD_WAIT)),
            Wait::Forever if self.holds() => Wait::AtMost(HELD_WAIT),
            wait => {
                self.refusals = 0;
                wait
            }
        };
        let mut entered = real.enter(shortened)?;
        if entered.why == Why::TimedOut && shortened != wait {
            entered.why = Why::Done;
        }
        Ok(Entered { submitted: submitted as u32, ..entered })
    }

    /// Why this `enter` does nothing at all, if so.
    fn refuses(&mut self, real: &mut uring::Kernel, wait: Wait) -> Option<Why> {
        if self.refusals >= IN_A_ROW_MAX {
            self.refusals = 0;
            return None;
        }
        let nothing = self.entrance.queued() + real.queued() == 0 && !self.entrance.withholds();
        if nothing && wait != Wait::No && self.dice.chance(self.odds.enter_interrupted) {
            self.refusals += 1;
            self.counters.enter_interrupted += 1;
            return Some(Why::Interrupted);
        }
        if real.flags().overflow && self.dice.chance(self.odds.enter_busy) {
            self.refusals += 1;
            self.counters.enter_busy += 1;
            return Some(Why::Busy);
        }
        None
    }

    /// Takes the kernel's completions, and lets go of those whose time has come.
    fn take_in(&mut self, real: &mut uring::Kernel) {
        while let Some(cqe) = real.pop() {
            self.file(cqe);
        }
        self.board.release(self.turn);
    }
}
