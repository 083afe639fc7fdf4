//! The walk as the kernel and the ring: entries taken, answers given, effects acted on.

use super::{Answer, Back, CQE_F_MORE, Effect, Front, ModelOp, NOTIF, Ordering, Walk};

impl Walk {
    /// A cancel leaves for the kernel, which answers at once or finds nothing.
    pub(super) fn send_cancel(&mut self) {
        let Some(key) = self.cancels.pop_front() else { return };
        if !self.slots.wants_cancel(key) {
            return;
        }
        self.slots.cancel_sent(key);
        let op = &self.ops[&key.sequence];
        let found = op.back == Back::Running && !self.leader_runs(op);
        if !found {
            self.cancel_answers.push_back((key.index, -libc::ENOENT));
            return;
        }
        // By the rule of the kernel, and now and then by that of its workers.
        match self.below(3) {
            0 => self.cancel_answers.push_back((key.index, -libc::EALREADY)),
            1 => self.cancel_answers.push_back((key.index, 0)),
            _ => {}
        }
        self.answer(key.sequence, -libc::ECANCELED, false);
    }

    pub(super) fn answer_cancel(&mut self) {
        if let Some((index, result)) = self.cancel_answers.pop_front() {
            let resend = self.slots.cancel_answered(index, result);
            self.cancels.extend(resend);
        }
    }

    pub(super) fn leader_runs(&self, op: &ModelOp) -> bool {
        let leader = op.leader.and_then(|leader| self.ops.get(&leader));
        leader.is_some_and(|leader| leader.back == Back::Running)
    }

    /// The kernel answers an op that runs.
    pub(super) fn answer(&mut self, sequence: u64, result: i32, more: bool) {
        let op = self.op(sequence);
        let key = op.key;
        let notif = op.back == Back::AwaitsNotif;
        let mut flags = if more { CQE_F_MORE } else { 0 };
        if notif {
            flags |= NOTIF;
        }
        let waker = op.waker.clone();
        op.back = match (more, op.streaming) {
            (true, true) => Back::Running,
            (true, false) => Back::AwaitsNotif,
            (false, _) => Back::Done,
        };
        let wakes = op.front == Front::Sent && (op.streaming || !more);
        if op.front == Front::Sent {
            if op.streaming {
                op.items.push_back(result);
            } else if more {
                op.first = Some(result);
            } else {
                op.result = Some(op.first.unwrap_or(result));
            }
            if !more {
                op.front = Front::Ended;
                op.ends += 1;
            }
        } else if !more {
            op.ends += 1;
        }
        if wakes {
            op.waker = None;
        }
        let answer = Answer { result, flags };
        let (effect, resend) = self.slots.complete_any(key.index, key.sequence as u32, answer);
        self.cancels.extend(resend);
        if let Some(woken) = waker.filter(|_| wakes) {
            assert!(matches!(effect, Effect::Wake(_)), "nobody was woken");
            self.act(effect);
            assert_eq!(woken.0.load(Ordering::Relaxed), 1, "woken once");
        } else {
            self.act(effect);
        }
    }

    pub(super) fn act(&mut self, mut effect: Effect) {
        loop {
            match effect {
                Effect::None => return,
                Effect::Stale => panic!("a live op was taken for stale"),
                Effect::Wake(waiter) => return waiter.wake(),
                Effect::Reap { reaper, completion, key, last } => {
                    let _ = completion;
                    let op = self.op(key.sequence);
                    assert_eq!(op.front, Front::Orphan);
                    op.reaped += 1;
                    // A reaper that turns the loop: the next answer comes while it is called.
                    if !last && op.back == Back::Running && self.below(2) == 0 {
                        let more = self.below(2) == 0;
                        self.answer(key.sequence, 7, more);
                    }
                    effect = match self.slots.reaped(key, reaper, last) {
                        Ok(effect) => effect,
                        Err(_reaper) => {
                            let op = self.op(key.sequence);
                            assert_eq!(op.back, Back::Done, "reaped before its last answer");
                            op.front = Front::Gone;
                            return;
                        }
                    };
                }
            }
        }
    }

    /// The ring moves the front of its backlog: those that have not ended meanwhile.
    pub(super) fn move_backlog(&mut self) {
        let Some(chain) = self.backlog.pop_front() else { return };
        let mut before = None;
        for sequence in chain {
            let op = &self.ops[&sequence];
            let (key, alive) = (op.key, op.front == Front::Queued);
            assert_eq!(self.slots.is_queued(key.index, key.sequence as u32), alive);
            let waits = self.slots.waits_at_gate(key);
            assert_eq!(self.slots.let_in(key), waits);
            assert_eq!(self.slots.sent(key.index, key.sequence as u32), alive);
            if alive {
                let op = self.op(sequence);
                op.front = Front::Sent;
                op.back = Back::Running;
                op.leader = before;
                before = Some(sequence);
            }
        }
    }
}
