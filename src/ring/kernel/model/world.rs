//! The modelled rings of one thread, and what is pending on them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::fd::RawFd;

use io_uring::opcode;

use super::super::abi::{CQE_F_MORE, CQE_F_NOTIF, IOSQE_CQE_SKIP_SUCCESS};
use super::super::{Cqe, IOSQE_IO_HARDLINK, OP_ASYNC_CANCEL, OP_POLL_ADD, OP_POLL_REMOVE, Sqe};
use super::descriptors::{drain_eventfd, placeholder};
use super::memory;
use super::random::Random;

/// What completes the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The test, by `control::complete`.
    Manual,
    /// Each `enter`, in random order with random results.
    Automatic,
}

/// All that the model knows on this thread.
pub(super) struct World {
    pub(super) mode: Mode,
    pub(super) random: Random,
    /// A cancel of what is running is answered, but does nothing.
    pub(super) deaf: bool,
    /// Other threads may end a sleep: a wait for ever is no deadlock then.
    pub(super) expects_wakes: bool,
    pub(super) submitted: u64,
    rings: BTreeMap<u32, Rings>,
    next_ring: u32,
    pending: Vec<Pending>,
    /// The far ends of the descriptors that were handed out.
    placeholders: Vec<File>,
}

/// One ring: its two queues and its notifier.
struct Rings {
    room: usize,
    queue: Vec<Sqe>,
    completions: VecDeque<Cqe>,
    notifier: Option<RawFd>,
    /// The `user_data` of the poll on the notifier.
    armed: Option<u64>,
}

/// An entry in the kernel.
struct Pending {
    ring: u32,
    sqe: Sqe,
    /// It waits for the one before it in the list, a member of the same chain.
    waits: bool,
    /// It asked for its end, and the end comes by and by.
    ending: bool,
    /// Its result is out, as with zero copy; the notification is due.
    notif_due: bool,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// Shows this thread's world. Nothing of the crate runs meanwhile.
pub(super) fn with<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with(|world| look(&mut world.borrow_mut()))
}

impl World {
    fn new() -> World {
        World {
            mode: Mode::Manual,
            random: Random::new(0),
            deaf: false,
            expects_wakes: false,
            submitted: 0,
            rings: BTreeMap::new(),
            next_ring: 0,
            pending: Vec::new(),
            placeholders: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, room: usize) -> u32 {
        self.next_ring += 1;
        let ring = Rings {
            room,
            queue: Vec::new(),
            completions: VecDeque::new(),
            notifier: None,
            armed: None,
        };
        self.rings.insert(self.next_ring, ring);
        self.next_ring
    }

    pub(super) fn close(&mut self, ring: u32) {
        self.rings.remove(&ring);
    }

    pub(super) fn set_notifier(&mut self, ring: u32, notifier: RawFd) {
        self.ring(ring).notifier = Some(notifier);
    }

    pub(super) fn push(&mut self, ring: u32, chain: &[Sqe]) -> bool {
        let ring = self.ring(ring);
        let fits = ring.queue.len() + chain.len() <= ring.room;
        if fits {
            ring.queue.extend_from_slice(chain);
        }
        fits
    }

    pub(super) fn queued(&mut self, ring: u32) -> usize {
        self.ring(ring).queue.len()
    }

    pub(super) fn has_completions(&mut self, ring: u32) -> bool {
        !self.ring(ring).completions.is_empty()
    }

    pub(super) fn pop(&mut self, ring: u32) -> Option<Cqe> {
        self.ring(ring).completions.pop_front()
    }

    /// Takes the queue over; in automatic mode completes some of what is pending, and with
    /// `wanted` at least one if there is any.
    pub(super) fn enter(&mut self, ring: u32, wanted: bool) -> u32 {
        let queue = std::mem::take(&mut self.ring(ring).queue);
        let count = queue.len() as u32;
        let mut linked = false;
        for sqe in queue {
            let waits = std::mem::replace(&mut linked, sqe.is_linked());
            self.submit(ring, sqe, waits);
        }
        if self.mode == Mode::Automatic {
            let mut rounds = self.random.below(4);
            if wanted && !self.has_completions(ring) {
                rounds = rounds.max(1);
            }
            for _ in 0..rounds {
                let ready = self.running(ring);
                if ready.is_empty() {
                    break;
                }
                let chosen = ready[self.random.below(ready.len())];
                self.finish(chosen);
            }
        }
        // What was asked to end does, by the time that somebody waits.
        let ending = self.pending.iter().position(|pending| pending.ending && !pending.waits);
        if let Some(index) = ending.filter(|_| wanted && !self.deaf) {
            self.complete(index, -libc::ECANCELED, 0);
        }
        count
    }

    fn submit(&mut self, ring: u32, sqe: Sqe, waits: bool) {
        self.submitted += 1;
        let state = self.ring(ring);
        if sqe.opcode == OP_POLL_ADD && Some(sqe.fd) == state.notifier {
            state.armed = Some(sqe.user_data);
            return;
        }
        // In a chain it does nothing: the model knows it only as the ring itself uses it.
        if is_cancel(&sqe) && !waits && !sqe.is_linked() {
            return self.cancel(ring, &sqe);
        }
        memory::at_submission(&sqe);
        self.pending.push(Pending { ring, sqe, waits, ending: false, notif_due: false });
    }

    /// A write to the notifier is a completion of the poll on it.
    pub(super) fn look_at_notifier(&mut self, ring: u32) {
        let state = self.ring(ring);
        let (Some(fd), Some(user_data)) = (state.notifier, state.armed) else { return };
        if drain_eventfd(fd) {
            let result = i32::from(libc::POLLIN);
            state.completions.push_back(Cqe { user_data, result, flags: CQE_F_MORE });
        }
    }

    /// Where in `pending` the entries of `ring` stand that the kernel works on; 0 means any ring.
    pub(super) fn running(&self, ring: u32) -> Vec<usize> {
        let here = |pending: &Pending| (ring == 0 || pending.ring == ring) && !pending.waits;
        (0..self.pending.len()).filter(|index| here(&self.pending[*index])).collect()
    }

    pub(super) fn entry(&self, index: usize) -> Sqe {
        self.pending[index].sqe
    }

    /// Completes with a result that Linux may give.
    pub(super) fn finish(&mut self, index: usize) {
        let pending = &self.pending[index];
        let (sqe, ending) = (pending.sqe, pending.ending);
        if pending.notif_due {
            return self.complete(index, 0, CQE_F_NOTIF);
        }
        if ending && self.random.one_in(2) {
            let code = [libc::ECANCELED, libc::EINTR, 512][self.random.below(3)];
            return self.complete(index, -code, 0);
        }
        let mut opened = None;
        let result = memory::any_result(&sqe, &mut self.random, || {
            let (near, far) = placeholder();
            opened = Some(far);
            near
        });
        self.placeholders.extend(opened);
        let goes_on = result >= 0
            && ((memory::is_multishot(&sqe) && !self.random.one_in(5))
                || memory::is_zero_copy(&sqe));
        self.complete(index, result, if goes_on { CQE_F_MORE } else { 0 });
    }

    /// Does what the entry asks for, posts the answer, and lets its chain go on.
    pub(super) fn complete(&mut self, index: usize, result: i32, flags: u32) {
        let (ring, sqe) = (self.pending[index].ring, self.pending[index].sqe);
        memory::at_completion(&sqe, result, &mut self.random);
        self.post(ring, &sqe, result, flags);
        if flags & CQE_F_MORE != 0 {
            self.pending[index].notif_due = !memory::is_multishot(&sqe);
            return;
        }
        self.pending.remove(index);
        if !sqe.is_linked() {
            return;
        }
        // Members stand one behind the other, so the next one is here now.
        self.pending[index].waits = false;
        let hard = sqe.flags & IOSQE_IO_HARDLINK != 0;
        if !hard && !memory::is_whole(&sqe, result) {
            self.complete(index, -libc::ECANCELED, 0);
        }
    }

    fn post(&mut self, ring: u32, sqe: &Sqe, result: i32, flags: u32) {
        if result >= 0 && sqe.flags & IOSQE_CQE_SKIP_SUCCESS != 0 {
            return;
        }
        // Closed rings have no queue, but their entries still run.
        if let Some(state) = self.rings.get_mut(&ring) {
            state.completions.push_back(Cqe { user_data: sqe.user_data, result, flags });
        }
    }

    /// A cancel, or the removal of a poll or timeout. Chain members that wait are not found.
    fn cancel(&mut self, ring: u32, sqe: &Sqe) {
        let targets = self.find_targets(ring, sqe);
        let Some(target) = targets.first().copied() else {
            self.post(ring, sqe, -libc::ENOENT, 0);
            return self.notify(ring, sqe.addr);
        };
        let lazy = self.mode == Mode::Automatic && self.random.one_in(2);
        if self.deaf || lazy {
            self.pending[target].ending = !self.deaf;
            return self.post(ring, sqe, -libc::EALREADY, 0);
        }
        self.complete(target, -libc::ECANCELED, 0);
        self.post(ring, sqe, 0, 0);
    }

    /// A notification that is due comes by itself, and no later than somebody wants an end.
    fn notify(&mut self, ring: u32, user_data: u64) {
        let is_due = |pending: &Pending| {
            pending.notif_due && pending.ring == ring && pending.sqe.user_data == user_data
        };
        let due = self.pending.iter().position(is_due).filter(|_| !self.deaf);
        if let Some(index) = due {
            self.complete(index, 0, CQE_F_NOTIF);
        }
    }

    fn find_targets(&self, ring: u32, sqe: &Sqe) -> Vec<usize> {
        const BY_FD: u32 = 1 << 1;
        const ANY: u32 = 1 << 2;
        let plain = sqe.opcode != OP_ASYNC_CANCEL;
        let is_meant = |target: &Sqe| match sqe.op_flags {
            _ if plain => target.user_data == sqe.addr,
            flags if flags & ANY != 0 => true,
            flags if flags & BY_FD != 0 => target.fd == sqe.fd,
            _ => target.user_data == sqe.addr,
        };
        let running = self.running(ring);
        // What only awaits its notification has left the kernel's lists.
        let is_found = |target: &Pending| !target.notif_due && is_meant(&target.sqe);
        running.into_iter().filter(|index| is_found(&self.pending[*index])).collect()
    }

    /// A descriptor for a result, whose fate `placeholders_open` tells.
    pub(super) fn open_placeholder(&mut self) -> RawFd {
        let (near, far) = placeholder();
        self.placeholders.push(far);
        near
    }

    pub(super) fn placeholders_open(&mut self) -> usize {
        self.placeholders.retain_mut(|far| !matches!(far.read(&mut [0]), Ok(0)));
        self.placeholders.len()
    }

    fn ring(&mut self, ring: u32) -> &mut Rings {
        self.rings.get_mut(&ring).expect("the ring is open")
    }
}

fn is_cancel(sqe: &Sqe) -> bool {
    matches!(sqe.opcode, OP_ASYNC_CANCEL | OP_POLL_REMOVE | opcode::TimeoutRemove::CODE)
}
