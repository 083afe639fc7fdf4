//! The way out: completions between the kernel and the ring.

use std::collections::{BTreeMap, VecDeque};

use super::super::{CQE_F_MORE, Cqe, Fault, OP_ASYNC_CANCEL, Sqe};
use super::dice::ChaosCounters;
use super::{Mischief, faults};

/// Completions that are held back, and what is known of the ops that they answer.
#[derive(Debug, Default)]
pub(super) struct Board {
    live: BTreeMap<u64, Live>,
    /// By the turn from which on they may go, then by their coming.
    held: BTreeMap<(u64, u64), Cqe>,
    ready: VecDeque<(u64, Cqe)>,
    /// When the last completion of this order may go: the next not before.
    last_due: BTreeMap<Order, u64>,
    /// Multishots that are being ended, by their `user_data`.
    endings: BTreeMap<u64, Ending>,
    cancels: Vec<u64>,
    coming: u64,
    endings_made: u32,
    released_last: u64,
}

/// An op that the ring has handed over and whose last answer has not come.
#[derive(Debug)]
struct Live {
    late: bool,
    ends_early: bool,
    /// The head of its chain.
    head: u64,
}

/// What keeps completions in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Chain(u64),
    ChosenBuffers,
}

#[derive(Debug)]
struct Ending {
    items: Vec<Cqe>,
    /// The `user_data` of the cancel that chaos sends.
    token: u64,
    /// The ring wants its end too: it shall see it.
    cancel_seen: bool,
}

/// `user_data` of chaos' own cancels: a kind that the ring does not use.
const TOKENS: u64 = 0xffff_fffe << 32;
const CQE_F_BUFFER: u32 = 1 << 0;
/// How many enters a completion is held back at most, if nothing stands before it.
const HELD_TURNS_MAX: u32 = 4;

impl Board {
    /// Remembers what these entries are, for their answers.
    pub(super) fn track(&mut self, chain: &[Sqe]) {
        let Some(first) = chain.first() else { return };
        for sqe in chain {
            // What is behind a hard link keeps the head that it first had.
            self.live.entry(sqe.user_data).or_insert(Live {
                late: faults::allows(sqe, Fault::Late),
                ends_early: faults::allows(sqe, Fault::EndsEarly),
                head: first.user_data,
            });
        }
    }

    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty() || !self.endings.is_empty()
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn pop(&mut self, counters: &mut ChaosCounters) -> Option<Cqe> {
        let (coming, cqe) = self.ready.pop_front()?;
        if coming < self.released_last {
            counters.reordered += 1;
        }
        self.released_last = self.released_last.max(coming);
        Some(cqe)
    }

    /// Lets go of what is due.
    pub(super) fn release(&mut self, turn: u64) {
        while let Some(entry) = self.held.first_entry() {
            if entry.key().0 > turn {
                break;
            }
            let coming = entry.key().1;
            self.ready.push_back((coming, entry.remove()));
        }
        self.last_due.retain(|_, due| *due >= turn);
    }

    /// The ring cancels this op itself.
    pub(super) fn cancel_seen(&mut self, target: u64) {
        if let Some(ending) = self.endings.get_mut(&target) {
            ending.cancel_seen = true;
        }
    }

    /// The cancels that chaos wants to send, once.
    pub(super) fn cancels(&mut self) -> Vec<Vec<Sqe>> {
        let endings = &self.endings;
        let live =
            self.cancels.drain(..).filter_map(|target| Some((target, endings.get(&target)?)));
        live.map(|(target, ending)| {
            let mut sqe = Sqe::new(OP_ASYNC_CANCEL);
            sqe.addr = target;
            sqe.user_data = ending.token;
            vec![sqe]
        })
        .collect()
    }
}

impl Mischief {
    /// Files what came from the kernel.
    pub(super) fn file(&mut self, cqe: Cqe) {
        if cqe.user_data & TOKENS == TOKENS {
            self.ending_answered(cqe);
        } else if self.board.endings.contains_key(&cqe.user_data) {
            self.ending_goes_on(cqe);
        } else if cqe.flags & CQE_F_MORE != 0
            && self.board.live.get(&cqe.user_data).is_some_and(|live| live.ends_early)
            && self.dice.chance(self.odds.ends_early)
        {
            let token = TOKENS | u64::from(self.board.endings_made);
            self.board.endings_made = self.board.endings_made.wrapping_add(1);
            let ending = Ending { items: vec![cqe], token, cancel_seen: false };
            self.board.endings.insert(cqe.user_data, ending);
            self.board.cancels.push(cqe.user_data);
        } else {
            self.hold(cqe);
        }
    }

    /// An answer that the kernel did not give.
    pub(super) fn post(&mut self, user_data: u64, result: i32) {
        self.hold(Cqe { user_data, result, flags: 0 });
    }

    fn hold(&mut self, cqe: Cqe) {
        let board = &mut self.board;
        let live = board.live.get(&cqe.user_data);
        let mut due = self.turn;
        if live.is_some_and(|live| live.late) && self.dice.chance(self.odds.late_completion) {
            due += 1 + u64::from(self.dice.below(HELD_TURNS_MAX));
        }
        let chain = Order::Chain(live.map_or(cqe.user_data, |live| live.head));
        let buffers = (cqe.flags & CQE_F_BUFFER != 0).then_some(Order::ChosenBuffers);
        let orders = [Some(chain), buffers];
        for order in orders.iter().flatten() {
            due = due.max(board.last_due.get(order).copied().unwrap_or(0));
        }
        for order in orders.into_iter().flatten() {
            board.last_due.insert(order, due);
        }
        if due > self.turn {
            self.counters.late_completion += 1;
        }
        if cqe.flags & CQE_F_MORE == 0 {
            board.live.remove(&cqe.user_data);
        }
        board.held.insert((due, board.coming), cqe);
        board.coming += 1;
    }

    /// One more of a multishot that is being ended; or its end.
    fn ending_goes_on(&mut self, cqe: Cqe) {
        if cqe.flags & CQE_F_MORE != 0 {
            if let Some(ending) = self.board.endings.get_mut(&cqe.user_data) {
                ending.items.push(cqe);
            }
            return;
        }
        let Some(mut ending) = self.board.endings.remove(&cqe.user_data) else { return };
        match ending.items.last_mut() {
            // Our cancel, and nobody else's: nothing but the last item says that it was the last.
            Some(last) if cqe.result == -libc::ECANCELED && !ending.cancel_seen => {
                last.flags &= !CQE_F_MORE;
                self.counters.ended_early += 1;
            }
            _ => ending.items.push(cqe),
        }
        for item in ending.items {
            self.hold(item);
        }
    }

    /// The kernel did not find what was to end: its end is on the way, or it goes on.
    fn ending_answered(&mut self, cqe: Cqe) {
        if cqe.result != -libc::ENOENT {
            return;
        }
        let found = self.board.endings.iter().find(|(_, ending)| ending.token == cqe.user_data);
        let Some(target) = found.map(|(target, _)| *target) else { return };
        let Some(ending) = self.board.endings.remove(&target) else { return };
        for item in ending.items {
            self.hold(item);
        }
    }
}
