//! Random walks over the slot table, beside a model that is simple enough to be right.
//!
//! The walk plays ring, kernel and futures at once: it submits, answers late and out of order,
//! cancels, drops, gives up. After each step the table's promises are checked: its counts are the
//! model's (R4), a key is never used again, nobody is woken twice or forgotten, an op ends at most
//! once; at the end every op has ended, for each cancel that was asked for reached it, and every
//! slot is free again.

mod by_fd;
mod check;
mod kernel;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Wake, Waker};

use super::super::completion::{Answer, Ask, Completion};
use super::{
    Abandoned, Asked, CANCEL_ATTEMPTS_MAX, CQE_F_MORE, Counters, Effect, Item, Meta, NONE, Polled,
    Reaper, SlotKey, Slots, Stage,
};

use crate::wake::LocalWaker;

/// `IORING_CQE_F_NOTIF`.
const NOTIF: u32 = 1 << 3;

const WALKS: u64 = if cfg!(miri) { 2 } else { 300 };
const STEPS: u32 = if cfg!(miri) { 100 } else { 400 };

#[derive(Debug, Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How far the future and the table are with an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    Reserved,
    Queued,
    Sent,
    /// An answer is there that ends it; the future has not taken it.
    Ended,
    Orphan,
    Gone,
}

/// How far the kernel is with an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    Nothing,
    /// Runs as soon as the member before it has ended.
    Running,
    AwaitsNotif,
    Done,
}

#[derive(Debug)]
struct ModelOp {
    key: SlotKey,
    streaming: bool,
    front: Front,
    back: Back,
    leader: Option<u64>,
    items: VecDeque<i32>,
    first: Option<i32>,
    result: Option<i32>,
    asked: bool,
    waker: Option<Arc<Woken>>,
    reaped: u32,
    ends: u32,
}

struct Walk {
    slots: Slots,
    random: u64,
    ops: BTreeMap<u64, ModelOp>,
    wakers: Vec<Arc<Woken>>,
    cancels: VecDeque<SlotKey>,
    cancel_answers: VecDeque<(u32, i32)>,
    backlog: VecDeque<Vec<u64>>,
    next_sequence: u64,
    seed: u64,
}

fn meta() -> Meta {
    let site = std::panic::Location::caller();
    Meta { opcode: 0, fd: -1, fixed: false, started_ms: 0, site }
}

impl Walk {
    fn new(seed: u64) -> Walk {
        Walk {
            slots: Slots::new(Arc::new(Counters::new())),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            ops: BTreeMap::new(),
            wakers: Vec::new(),
            cancels: VecDeque::new(),
            cancel_answers: VecDeque::new(),
            backlog: VecDeque::new(),
            next_sequence: 1,
            seed,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }

    fn waker(&mut self) -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        self.wakers.push(Arc::clone(&woken));
        (Arc::clone(&woken), Waker::from(woken))
    }

    /// One of the ops that `wanted` wants.
    fn choose(&mut self, wanted: impl Fn(&Walk, &ModelOp) -> bool) -> Option<u64> {
        let found: Vec<u64> =
            self.ops.iter().filter(|(_, op)| wanted(self, op)).map(|(at, _)| *at).collect();
        if found.is_empty() {
            return None;
        }
        let at = self.below(found.len());
        Some(found[at])
    }

    fn op(&mut self, sequence: u64) -> &mut ModelOp {
        self.ops.get_mut(&sequence).unwrap()
    }

    fn reserve(&mut self) -> u64 {
        let key = self.slots.reserve();
        assert_eq!(key.sequence, self.next_sequence, "a sequence was used twice");
        self.next_sequence += 1;
        let taken =
            self.ops.values().any(|op| op.front != Front::Gone && op.key.index == key.index);
        assert!(!taken, "a slot was given to two ops");
        let op = ModelOp {
            key,
            streaming: false,
            front: Front::Reserved,
            back: Back::Nothing,
            leader: None,
            items: VecDeque::new(),
            first: None,
            result: None,
            asked: false,
            waker: None,
            reaped: 0,
            ends: 0,
        };
        self.ops.insert(key.sequence, op);
        key.sequence
    }

    fn start(&mut self, sequence: u64, streaming: bool, queued: bool) {
        let key = self.op(sequence).key;
        let (woken, waker) = self.waker();
        let local = LocalWaker::new(&waker);
        let meta = Meta { opcode: (sequence % 5) as u8, ..meta() };
        if streaming {
            self.slots.start_streaming(key, local, meta, queued, usize::MAX);
        } else {
            self.slots.start(key, local, meta, queued);
            if self.below(3) == 0 {
                self.slots.enter_gate(key, queued);
            }
        }
        let op = self.op(sequence);
        op.streaming = streaming;
        op.waker = Some(woken);
        op.front = if queued { Front::Queued } else { Front::Sent };
        op.back = if queued { Back::Nothing } else { Back::Running };
    }

    /// Submits one op or a chain.
    fn submit(&mut self) {
        let queued = !self.backlog.is_empty() || self.below(3) == 0;
        let len = if self.below(3) == 0 { 2 + self.below(3) } else { 1 };
        let streaming = len == 1 && self.below(3) == 0;
        let chain: Vec<u64> = (0..len).map(|_| self.reserve()).collect();
        for sequence in &chain {
            self.start(*sequence, streaming, queued);
        }
        let soft = self.below(2) == 0;
        for pair in chain.windows(2) {
            let (leader, follower) = (self.op(pair[0]).key, self.op(pair[1]).key);
            self.slots.link(leader, follower, soft);
            self.op(pair[1]).leader = Some(pair[0]);
        }
        if queued {
            self.backlog.push_back(chain);
        }
    }

    fn poll(&mut self, sequence: u64) {
        let op = &self.ops[&sequence];
        let (key, streaming, front) = (op.key, op.streaming, op.front);
        let (woken, waker) = self.waker();
        if streaming && front != Front::Reserved {
            match self.slots.next_item(key, &waker) {
                Item::Ready { answer, last, .. } => {
                    let op = self.op(sequence);
                    let expected = op.items.pop_front().unwrap_or(-libc::ECANCELED);
                    assert_eq!(answer.result, expected, "items out of order");
                    let ended = op.front == Front::Ended && op.items.is_empty();
                    assert_eq!(last, ended);
                    if last {
                        op.front = Front::Gone;
                    }
                }
                Item::Pending { kept } => self.keep(sequence, kept, woken, &waker),
                Item::Lost => panic!("nothing was lost"),
            }
            return;
        }
        match self.slots.poll(key, &waker, false) {
            Polled::Ready(answer, _) => {
                let op = self.op(sequence);
                assert_eq!(op.front, Front::Ended);
                assert_eq!(Some(answer.result), op.result);
                op.front = Front::Gone;
            }
            Polled::Pending { kept } => {
                assert_ne!(front, Front::Ended);
                self.keep(sequence, kept, woken, &waker);
            }
            Polled::Restart | Polled::Lost => panic!("not asked for"),
        }
    }

    fn keep(&mut self, sequence: u64, kept: bool, woken: Arc<Woken>, waker: &Waker) {
        assert!(!kept, "another waker was taken for the kept one");
        let key = self.op(sequence).key;
        match self.slots.set_waiter(key, LocalWaker::new(waker)) {
            Ok(_before) => self.op(sequence).waker = Some(woken),
            Err(_) => panic!("the op had not ended"),
        }
    }

    /// Somebody asks for the end. The ring's loop over the chain.
    fn ask(&mut self, sequence: u64, who: Ask) {
        let key = self.op(sequence).key;
        let mut at = key;
        let mut asked = self.slots.ask(key, who);
        loop {
            let op = self.op(at.sequence);
            match asked {
                Asked::Ended { waiter, follower } => {
                    assert!(matches!(op.front, Front::Reserved | Front::Queued), "R2");
                    op.front = Front::Ended;
                    op.back = Back::Done;
                    op.ends += 1;
                    op.result = Some(-libc::ECANCELED);
                    if let Some(waiter) = waiter {
                        let woken = op.waker.take().unwrap();
                        waiter.wake();
                        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
                    }
                    let Some(follower) = follower else { return };
                    at = follower;
                    asked = self.slots.fail_follower(follower);
                }
                Asked::Send => {
                    op.asked = true;
                    assert!(matches!(op.front, Front::Sent | Front::Orphan));
                    self.cancels.push_back(at);
                    return;
                }
                Asked::Already => {
                    assert!(op.asked);
                    return;
                }
                Asked::NotFound => {
                    assert!(matches!(op.front, Front::Ended | Front::Gone), "{:?}", op.front);
                    return;
                }
            }
        }
    }

    /// The future of an op is dropped.
    fn drop_future(&mut self, sequence: u64) {
        let key = self.op(sequence).key;
        match self.slots.abandon(key) {
            Abandoned::Finished(answer, _) => {
                let op = self.op(sequence);
                assert_eq!(op.front, Front::Ended);
                if !op.streaming {
                    assert_eq!(Some(answer.result), op.result);
                }
                op.front = Front::Gone;
            }
            Abandoned::NeverSubmitted(_waiter) => {
                let op = self.op(sequence);
                assert!(matches!(op.front, Front::Reserved | Front::Queued), "R2");
                op.front = Front::Gone;
                op.back = Back::Done;
                op.waker = None;
            }
            Abandoned::InKernel => {
                let op = self.op(sequence);
                assert!(matches!(op.front, Front::Sent | Front::Ended));
                let streaming = op.streaming;
                op.front = Front::Orphan;
                op.waker = None;
                let items = std::mem::take(&mut op.items).len() as u32;
                let running = op.back != Back::Done;
                let call: Box<dyn FnMut(Completion)> = Box::new(drop);
                let reaper = if streaming { Reaper::Multi(call) } else { Reaper::Single(call) };
                let (effect, asked, _waiter) = self.slots.orphan(key, reaper, true);
                if matches!(asked, Asked::Send) {
                    self.cancels.push_back(key);
                }
                assert_eq!(!matches!(asked, Asked::NotFound), running, "asked for, if it runs");
                self.op(sequence).asked |= running;
                self.act(effect);
                let op = &self.ops[&sequence];
                assert!(op.reaped >= items, "an answer that had come was forgotten");
            }
            Abandoned::Lost => panic!("nothing was lost"),
        }
    }

    fn step(&mut self) {
        let on_front =
            |_: &Walk, op: &ModelOp| matches!(op.front, Front::Queued | Front::Sent | Front::Ended);
        match self.below(12) {
            0 => {
                if self.ops.values().filter(|op| op.front != Front::Gone).count() < 40 {
                    self.submit();
                }
            }
            1 => {
                let reserved = self.reserve();
                match self.below(3) {
                    0 => self.drop_future(reserved),
                    1 => {
                        self.ask(reserved, Ask::Cancel);
                        let key = self.op(reserved).key;
                        assert!(self.slots.take_if_ended(key).is_some());
                        self.op(reserved).front = Front::Gone;
                    }
                    _ => self.start(reserved, false, false),
                }
            }
            2 | 3 => self.move_backlog(),
            4..=6 => {
                let runs =
                    self.choose(|walk, op| op.back == Back::Running && !walk.leader_runs(op));
                if let Some(sequence) = runs {
                    let more = self.below(2) == 0;
                    self.answer(sequence, self.seed as i32 & 0xff, more);
                }
            }
            7 => {
                if let Some(sequence) = self.choose(|_, op| op.back == Back::AwaitsNotif) {
                    self.answer(sequence, 0, false);
                }
            }
            8 => {
                if let Some(sequence) = self.choose(on_front) {
                    self.poll(sequence);
                }
            }
            9 => {
                if let Some(sequence) = self.choose(|_, _| true) {
                    self.ask(sequence, Ask::Cancel);
                }
            }
            10 => self.drop_some(),
            _ => {
                self.send_cancel();
                if self.below(2) == 0 {
                    self.answer_cancel();
                }
            }
        }
        self.stale();
        self.check();
    }

    /// Drops a future; of a chain all members, first to last, as the future of a chain does.
    fn drop_some(&mut self) {
        let alive = |op: &ModelOp| matches!(op.front, Front::Queued | Front::Sent | Front::Ended);
        let Some(chosen) = self.choose(|_, op| alive(op)) else { return };
        let mut at = chosen;
        while let Some(leader) = self.ops[&at].leader {
            at = leader;
        }
        let mut chain = vec![at];
        while let Some(next) =
            self.ops.iter().find(|(_, op)| op.leader == chain.last().copied()).map(|(at, _)| *at)
        {
            chain.push(next);
        }
        for sequence in chain {
            if alive(&self.ops[&sequence]) {
                self.drop_future(sequence);
            }
        }
    }

    /// A completion that comes after the end answers nothing.
    fn stale(&mut self) {
        let Some(sequence) = self.choose(|_, op| op.front == Front::Gone) else { return };
        let key = self.ops[&sequence].key;
        let answer = Answer { result: 1, flags: 0 };
        let (effect, resend) = self.slots.complete_any(key.index, key.sequence as u32, answer);
        assert!(matches!(effect, Effect::Stale) && resend.is_none());
        assert!(matches!(self.slots.ask(key, Ask::Cancel), Asked::NotFound), "a stranger was hit");
        assert!(!self.slots.is_in_flight(key) && !self.slots.wants_cancel(key));
    }

    /// Ends everything as teardown does: by cancels alone, but for the answers of the peers.
    fn drain(&mut self) {
        self.check_free_list();
        while let Some(sequence) = self.choose(|_, op| {
            matches!(op.front, Front::Reserved | Front::Queued | Front::Sent | Front::Ended)
        }) {
            if self.below(2) == 0 {
                self.ask(sequence, Ask::Cancel);
            }
            self.drop_chain_of(sequence);
        }
        self.backlog.clear();
        for _ in 0..10_000 {
            if self.slots.is_drained() {
                break;
            }
            self.send_cancel();
            self.answer_cancel();
            if let Some(sequence) = self.choose(|_, op| op.back == Back::AwaitsNotif) {
                self.answer(sequence, 0, false);
            }
            self.check();
        }
        let left: Vec<_> = self.ops.values().filter(|op| op.front != Front::Gone).collect();
        assert!(left.is_empty(), "a cancel was lost: {left:#?}");
        self.check_free_list();
        assert_eq!(self.slots.free == NONE, self.slots.slots.is_empty());
        for woken in &self.wakers {
            assert_eq!(Arc::strong_count(woken), 1, "a waiter was kept");
        }
    }

    fn drop_chain_of(&mut self, sequence: u64) {
        if self.ops[&sequence].front == Front::Gone {
            return;
        }
        self.drop_future(sequence);
    }
}

#[test]
fn random_walks_keep_the_promises() {
    for seed in 0..WALKS {
        let walked = std::panic::catch_unwind(|| {
            let mut walk = Walk::new(seed);
            for _ in 0..STEPS {
                walk.step();
            }
            walk.drain();
        });
        assert!(walked.is_ok(), "the walk of seed {seed}");
    }
}

#[test]
fn lost_when_teardown_gives_up() {
    for seed in 0..WALKS {
        let mut walk = Walk::new(seed);
        for _ in 0..STEPS {
            walk.step();
        }
        let in_flight = walk.slots.in_flight();
        let (metas, waiters) = walk.slots.lose();
        assert_eq!(metas.len(), in_flight.len(), "each is named");
        assert!(waiters.len() <= metas.len());
        waiters.into_iter().for_each(LocalWaker::wake);
        assert!(walk.slots.is_drained());
        let (_, waker) = walk.waker();
        for key in in_flight {
            let orphan = walk.ops[&key.sequence].front == Front::Orphan;
            let answer = Answer { result: 1, flags: 0 };
            let (effect, _) = walk.slots.complete_any(key.index, key.sequence as u32, answer);
            assert!(matches!(effect, Effect::Stale));
            if !orphan {
                assert!(matches!(walk.slots.poll(key, &waker, true), Polled::Lost));
                assert!(matches!(walk.slots.abandon(key), Abandoned::Lost), "its op is forgotten");
            }
            assert!(matches!(walk.slots.ask(key, Ask::Cancel), Asked::NotFound));
        }
        walk.wakers.iter().for_each(|woken| assert!(woken.0.load(Ordering::Relaxed) <= 1));
    }
}

#[test]
fn an_unanswerable_cancel_ends() {
    // What the kernel never finds is asked for a few times, not for ever.
    let mut walk = Walk::new(1);
    let sequence = walk.reserve();
    walk.start(sequence, false, false);
    walk.ask(sequence, Ask::Cancel);
    let mut sent = 0;
    while let Some(key) = walk.cancels.pop_front() {
        assert!(walk.slots.wants_cancel(key));
        walk.slots.cancel_sent(key);
        sent += 1;
        walk.cancels.extend(walk.slots.cancel_answered(key.index, -libc::ENOENT));
    }
    assert_eq!(sent, u32::from(CANCEL_ATTEMPTS_MAX) + 1);
}

#[test]
fn cancelled_after_a_signal_came_between() {
    // The answer is there and says "once more"; nobody has looked; then its end is asked for.
    let mut walk = Walk::new(1);
    let sequence = walk.reserve();
    walk.start(sequence, false, false);
    walk.answer(sequence, -libc::EINTR, false);
    let key = walk.op(sequence).key;
    assert!(matches!(walk.slots.ask(key, Ask::Cancel), Asked::Already));
    let (_, waker) = walk.waker();
    let polled = walk.slots.poll(key, &waker, true);
    assert!(matches!(polled, Polled::Ready(answer, Ask::Cancel) if answer.result == -libc::EINTR));
}
