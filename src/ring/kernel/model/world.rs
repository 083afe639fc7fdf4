//! The modelled rings of one thread, and what is pending on them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::fd::RawFd;

use io_uring::opcode;

use super::super::{
    CQE_F_MORE, Cqe, IOSQE_CQE_SKIP_SUCCESS, IOSQE_FIXED_FILE, IOSQE_IO_HARDLINK, IOSQE_IO_LINK,
    OP_ASYNC_CANCEL, OP_POLL_ADD, OP_POLL_REMOVE, Sqe, names_descriptor,
};
use super::control::NOTIF;
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
    /// Which one it is, whatever stands where meanwhile.
    number: u64,
    ring: u32,
    sqe: Sqe,
    /// It waits for the one before it in the list, a member of the same chain.
    waits: bool,
    /// It is a link timeout, and the one before it is running.
    armed: bool,
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
            if !linked {
                self.run_removals();
            }
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
        memory::at_submission(&sqe);
        let number = self.submitted;
        let index = self.pending.len();
        self.pending.push(Pending {
            number,
            ring,
            sqe,
            waits,
            armed: false,
            ending: false,
            notif_due: false,
        });
        if waits && !self.pending[index - 1].waits {
            self.arm(index - 1);
        }
    }

    /// Arms the link timeout of the entry at `head`, if it has one.
    fn arm(&mut self, head: usize) {
        if !is_link_timeout(&self.pending[head].sqe)
            && self.pending[head].sqe.is_linked()
            && let Some(timer) = self.pending.get_mut(head + 1)
            && is_link_timeout(&timer.sqe)
        {
            (timer.waits, timer.armed) = (false, true);
        }
    }

    /// The armed link timeout of the entry at `head` leaves the chain, with its answer.
    fn disarm(&mut self, head: usize, result: i32) {
        if !self.pending.get(head + 1).is_some_and(|timer| timer.armed) {
            return;
        }
        let timer = self.pending.remove(head + 1);
        if !timer.sqe.is_linked() {
            self.pending[head].sqe.flags &= !(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        }
        self.work(&timer.sqe, result, true);
        self.post(timer.ring, &timer.sqe, result, 0);
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
            return self.complete(index, 0, NOTIF);
        }
        if pending.armed {
            let code = if self.random.one_in(3) { libc::EALREADY } else { libc::ETIME };
            return self.complete(index, -code, 0);
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
        if self.pending[index].armed {
            self.disarm(index - 1, result);
            if result == -libc::ETIME {
                self.complete(index - 1, -libc::ECANCELED, 0);
            }
            return;
        }
        self.disarm(index, -libc::ECANCELED);
        let Pending { ring, sqe, notif_due, .. } = self.pending[index];
        let gives = !notif_due && memory::takes_descriptor(&sqe, result);
        self.work(&sqe, result, !notif_due);
        if gives {
            memory::give_descriptor(&sqe, self.open_placeholder());
        }
        self.post(ring, &sqe, result, flags);
        if flags & CQE_F_MORE != 0 {
            self.pending[index].notif_due = !memory::is_multishot(&sqe);
            return;
        }
        self.pending.remove(index);
        if sqe.is_linked() {
            // Members stand one behind the other, so the next one is here now.
            self.pending[index].waits = false;
            self.arm(index);
            let hard = sqe.flags & IOSQE_IO_HARDLINK != 0;
            if !hard && !memory::is_whole(&sqe, result) {
                self.complete(index, -libc::ECANCELED, 0);
            }
        }
        self.run_removals();
    }

    fn work(&mut self, sqe: &Sqe, result: i32, first: bool) {
        let Self { random, placeholders, .. } = self;
        memory::at_completion(sqe, result, first, random, || {
            let (near, far) = placeholder();
            placeholders.push(far);
            near
        });
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

    /// Cancels and the like are carried out as soon as their turn comes.
    fn run_removals(&mut self) {
        let is_due = |pending: &Pending| is_removal(&pending.sqe) && !pending.waits;
        while let Some(index) = self.pending.iter().position(is_due) {
            // It is not found by itself, nor by what its target lets go on.
            self.pending[index].waits = true;
            let Pending { number, ring, sqe, .. } = self.pending[index];
            let result = self.remove(ring, &sqe);
            let own = self.pending.iter().position(|pending| pending.number == number);
            self.complete(own.expect("nobody else completes it"), result, 0);
        }
    }

    /// A cancel, or the removal or update of a poll or timeout. Chain members that wait are not
    /// found.
    fn remove(&mut self, ring: u32, sqe: &Sqe) -> i32 {
        const ALL: u32 = 1 << 0;
        if sqe.opcode == OP_ASYNC_CANCEL && sqe.op_flags & ALL != 0 {
            return self.remove_all(ring, sqe);
        }
        let Some(target) = self.find_target(ring, sqe) else {
            self.notify(ring, sqe.addr);
            return -libc::ENOENT;
        };
        if memory::is_update(sqe) {
            return 0;
        }
        let lazy = self.mode == Mode::Automatic && self.random.one_in(2);
        if self.deaf || lazy {
            self.pending[target].ending = !self.deaf;
            return -libc::EALREADY;
        }
        self.complete(target, -libc::ECANCELED, 0);
        0
    }

    /// As `remove`, for all that are meant. Answers how many.
    fn remove_all(&mut self, ring: u32, sqe: &Sqe) -> i32 {
        let mut count = 0;
        if self.deaf {
            return count;
        }
        while let Some(target) = self.find_target(ring, sqe) {
            self.complete(target, -libc::ECANCELED, 0);
            count += 1;
        }
        count
    }

    /// A notification that is due comes by itself, and no later than somebody wants an end.
    fn notify(&mut self, ring: u32, user_data: u64) {
        let is_due = |pending: &Pending| {
            pending.notif_due && pending.ring == ring && pending.sqe.user_data == user_data
        };
        let due = self.pending.iter().position(is_due).filter(|_| !self.deaf);
        if let Some(index) = due {
            self.complete(index, 0, NOTIF);
        }
    }

    fn find_target(&self, ring: u32, sqe: &Sqe) -> Option<usize> {
        const BY_FD: u32 = 1 << 1;
        const ANY: u32 = 1 << 2;
        let is_meant = |target: &Sqe| match (sqe.opcode, sqe.op_flags) {
            (OP_POLL_REMOVE, _) => target.opcode == OP_POLL_ADD && target.user_data == sqe.addr,
            (OP_ASYNC_CANCEL, flags) if flags & ANY != 0 => true,
            (OP_ASYNC_CANCEL, flags) if flags & BY_FD != 0 => file(target) == file(sqe),
            (OP_ASYNC_CANCEL, _) => target.user_data == sqe.addr,
            _ => target.opcode == opcode::Timeout::CODE && target.user_data == sqe.addr,
        };
        let running = self.running(ring);
        // What only awaits its notification has left the kernel's lists; an armed link timeout is
        // in none that a cancel looks at.
        let is_found =
            |target: &Pending| !target.notif_due && !target.armed && is_meant(&target.sqe);
        running.into_iter().find(|index| is_found(&self.pending[*index]))
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

/// What a cancel by descriptor compares.
fn file(sqe: &Sqe) -> (Option<i32>, bool) {
    let fd = names_descriptor(sqe.opcode).then_some(sqe.fd);
    (fd, sqe.flags & IOSQE_FIXED_FILE != 0)
}

fn is_removal(sqe: &Sqe) -> bool {
    matches!(sqe.opcode, OP_ASYNC_CANCEL | OP_POLL_REMOVE | opcode::TimeoutRemove::CODE)
}

fn is_link_timeout(sqe: &Sqe) -> bool {
    sqe.opcode == opcode::LinkTimeout::CODE
}
