//! Ops that end or change another one by its name, for each state of that and each fate of theirs.

use std::fmt::Debug;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ringspun::buf::BufResult;
use ringspun::model;
use ringspun::op::{
    Op, OpId, PollAdd, PollRemove, PollUpdate, Read, Submission, Timeout, TimeoutRemove, link,
    submit,
};
use ringspun::runtime::Runtime;
use ringspun::uring::AsyncIoUring;

use super::ops::owned;
use super::support::{Counts, Watched, poll, pump, runtime, runtime_of, settle, start};

/// Where the op is that is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has its name, and was not polled yet.
    Reserved,
    /// Behind others, on our side of the queue.
    Queued,
    /// In the submission queue.
    Pushed,
    InKernel,
    /// In the kernel, which cannot stop it at once.
    Deaf,
    /// Its outcome waits.
    Done,
    /// Its outcome was taken.
    Taken,
    /// Its future is gone.
    Orphaned,
    /// In the kernel, by another ring.
    OtherRing,
}

const STATES: [State; 9] = [
    State::Reserved,
    State::Queued,
    State::Pushed,
    State::InKernel,
    State::Deaf,
    State::Done,
    State::Taken,
    State::Orphaned,
    State::OtherRing,
];

/// What becomes of the removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Awaited,
    /// It moves at each step.
    Moved,
    DroppedUnpolled,
    DroppedPushed,
    DroppedAnswered,
    /// Target and removal outlive the runtime, each in its stage.
    Outlives,
}

const FATES: [Fate; 6] = [
    Fate::Awaited,
    Fate::Moved,
    Fate::DroppedUnpolled,
    Fate::DroppedPushed,
    Fate::DroppedAnswered,
    Fate::Outlives,
];

/// Random results differ by the seed.
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };

type Targets<T> = Vec<Submission<Watched<T>>>;

struct Case<'a, T> {
    make: &'a dyn Fn() -> T,
    counts: Rc<Counts>,
    runtime: &'a Runtime,
    other: &'a Runtime,
}

impl<T: Op<Output: Debug>> Case<'_, T> {
    fn future(&self) -> Submission<Watched<T>> {
        submit(Watched::new((self.make)(), &self.counts))
    }

    fn started(&self, runtime: &Runtime) -> (Submission<Watched<T>>, OpId) {
        let _entered = runtime.enter();
        let mut future = self.future();
        let id = future.id();
        start(&mut future);
        pump(runtime);
        (future, id)
    }

    /// The name of an op in this state, and the futures that are to be awaited in the end.
    fn target(&self, state: State) -> (OpId, Targets<T>) {
        match state {
            State::Reserved => {
                let mut future = self.future();
                (future.id(), vec![future])
            }
            State::Pushed => {
                let mut future = self.future();
                start(&mut future);
                (future.id(), vec![future])
            }
            State::Queued => {
                let mut futures: Targets<T> = (0..4).map(|_| self.future()).collect();
                futures.iter_mut().for_each(start);
                (futures[3].id(), futures)
            }
            State::InKernel | State::Deaf => {
                model::deaf(state == State::Deaf);
                let (future, id) = self.started(self.runtime);
                (id, vec![future])
            }
            State::Done | State::Taken => {
                let (mut future, id) = self.started(self.runtime);
                model::complete(0, -libc::EIO, 0);
                pump(self.runtime);
                if state == State::Done {
                    return (id, vec![future]);
                }
                assert!(poll(&mut future).is_ready());
                (id, Vec::new())
            }
            State::Orphaned => {
                let (future, id) = self.started(self.runtime);
                drop(future);
                (id, Vec::new())
            }
            State::OtherRing => {
                let (future, id) = self.started(self.other);
                drop(future);
                (id, Vec::new())
            }
        }
    }
}

/// Tries `remove` on an op that `make` makes, in each state, with each fate.
fn each<T: Op<Output: Debug>, F: Future + Unpin>(
    make: impl Fn() -> T,
    remove: impl Fn(OpId, &Rc<Counts>) -> F,
    fates: &[Fate],
) {
    for state in STATES {
        for fate in fates {
            for seed in 1..=SEEDS {
                println!("{state:?}, {fate:?}, seed {seed}");
                one(&make, &remove, (state, *fate), seed);
            }
        }
    }
}

fn one<T: Op<Output: Debug>, F: Future + Unpin>(
    make: &dyn Fn() -> T,
    remove: &dyn Fn(OpId, &Rc<Counts>) -> F,
    (state, fate): (State, Fate),
    seed: u64,
) {
    let counts = Rc::new(Counts::default());
    model::automatic(seed);
    model::manual();
    let other = runtime();
    let runtime = runtime_of(if state == State::Queued { 1 } else { 4 });
    let entered = runtime.enter();
    let case = Case { make, counts: Rc::clone(&counts), runtime: &runtime, other: &other };
    let (id, targets) = case.target(state);
    let removal = remove(id, &counts);
    let kept = go_on(removal, fate, &runtime, seed);
    model::deaf(false);
    if fate == Fate::Outlives {
        drop(entered);
        drop(runtime);
        drop((kept, targets));
    } else {
        // What came before the removal has its outcome, whatever became of that.
        settle(&runtime, seed, async move {
            for target in targets {
                drop(target.await);
            }
        });
        drop(entered);
        drop(runtime);
    }
    drop(other);
    counts.all_ended();
    assert_eq!(model::descriptors_open(), 0);
    assert!(model::pending().is_empty());
}

fn go_on<F: Future + Unpin>(mut removal: F, fate: Fate, runtime: &Runtime, seed: u64) -> Option<F> {
    match fate {
        Fate::DroppedUnpolled => drop(removal),
        Fate::Awaited => {
            // Automatic, so a target that does not listen ends by itself.
            drop(settle(runtime, seed, removal));
        }
        Fate::Moved => {
            let mut ready = poll(&mut removal).is_ready();
            for _ in 0..100 {
                if ready {
                    break;
                }
                let mut boxed = Box::new(removal);
                pump(runtime);
                ready = poll(&mut *boxed).is_ready();
                if !ready && !model::pending().is_empty() {
                    model::finish(0);
                    pump(runtime);
                    ready = poll(&mut *boxed).is_ready();
                }
                removal = *boxed;
            }
            assert!(ready, "it is answered soon");
        }
        Fate::DroppedPushed => {
            let _ready = poll(&mut removal).is_ready();
            drop(removal);
            pump(runtime);
        }
        Fate::DroppedAnswered => {
            let _ready = poll(&mut removal).is_ready();
            pump(runtime);
            pump(runtime);
            drop(removal);
        }
        Fate::Outlives => {
            let _ready = poll(&mut removal).is_ready();
            return Some(removal);
        }
    }
    None
}

fn read() -> Read<Box<[u8]>> {
    Read::new(owned(), vec![0; 4].into_boxed_slice(), 0)
}

fn timeout() -> Timeout {
    Timeout::new(Duration::from_secs(1), 0, 0)
}

fn poll_add() -> PollAdd {
    PollAdd::new(owned(), libc::POLLIN as u32)
}

/// Miri is slow: there it sees what is moved or left to the ring, and of ops without memory less.
fn telling(has_memory: bool) -> &'static [Fate] {
    match has_memory {
        _ if !cfg!(miri) => &FATES,
        true => &[Fate::Moved, Fate::DroppedPushed, Fate::Outlives],
        false => &[Fate::Outlives],
    }
}

#[test]
fn cancel() {
    each(read, |id, _| AsyncIoUring::current().cancel(id), telling(true));
}

#[test]
fn poll_remove() {
    let remove = |id, counts: &Rc<_>| submit(Watched::new(PollRemove::new(id), counts));
    each(poll_add, remove, telling(false));
}

#[test]
fn poll_update() {
    let events = libc::POLLOUT as u32;
    let update = |id, counts: &Rc<_>| submit(Watched::new(PollUpdate::new(id, events), counts));
    each(poll_add, update, telling(false));
}

#[test]
fn timeout_remove() {
    let remove = |id, counts: &Rc<_>| submit(Watched::new(TimeoutRemove::new(id), counts));
    each(timeout, remove, telling(false));
}

#[test]
fn timeout_update() {
    let update = |id, counts: &Rc<_>| {
        let op = TimeoutRemove::update(id, Duration::from_secs(2), Timeout::ABS);
        submit(Watched::new(op, counts))
    };
    each(timeout, update, telling(true));
}

/// The kernel finds only its own kind.
#[test]
fn removal_of_another_kind() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut target = submit(read());
    start(&mut target);
    pump(&runtime);
    let ring = AsyncIoUring::current();
    let removals = [ring.poll_remove(target.id()), ring.poll_remove(target.id())];
    for mut removal in removals {
        start(&mut removal);
        pump(&runtime);
        assert!(matches!(poll(&mut removal), std::task::Poll::Ready(Err(_))));
    }
    let mut removal = ring.timeout_remove(target.id());
    start(&mut removal);
    pump(&runtime);
    assert!(matches!(poll(&mut removal), std::task::Poll::Ready(Err(_))));
    start(&mut target);
    model::complete(0, 4, 0);
    pump(&runtime);
    let (result, _buf): BufResult<usize, _> = settle(&runtime, 1, target);
    assert_eq!(result.expect("not ended"), 4);
}

/// In a chain, whose members before it may last: the target is named when the chain is made.
#[test]
fn in_a_chain() {
    for dropped in [false, true] {
        for target_first in [false, true] {
            let counts = Rc::new(Counts::default());
            let runtime = runtime();
            let entered = runtime.enter();
            let mut target = submit(Watched::new(timeout(), &counts));
            start(&mut target);
            let update = TimeoutRemove::update(target.id(), Duration::from_secs(2), 0);
            let remove = TimeoutRemove::new(target.id());
            let mut chain = link((
                Watched::new(read(), &counts),
                Watched::new(update, &counts),
                Watched::new(remove, &counts),
            ));
            start(&mut chain);
            pump(&runtime);
            let mut chain = Box::new(chain);
            start(&mut *chain);
            if target_first {
                model::complete(0, -libc::ETIME, 0);
                pump(&runtime);
            }
            if dropped {
                drop(chain);
                pump(&runtime);
                pump(&runtime);
            } else {
                model::complete(usize::from(!target_first), 4, 0);
                pump(&runtime);
                assert!(poll(&mut *chain).is_ready());
                assert!(target_first || poll(&mut target).is_ready(), "the chain ended it");
            }
            drop(target);
            drop(entered);
            drop(runtime);
            counts.all_ended();
            assert_eq!(model::descriptors_open(), 0);
        }
    }
}

/// Several cancels of one op, from all sides, of which some are dropped.
#[test]
fn cancelled_by_many() {
    for seed in 1..=SEEDS {
        let runtime = runtime();
        let entered = runtime.enter();
        model::deaf(true);
        let mut target = submit(read());
        start(&mut target);
        pump(&runtime);
        let id = target.id();
        let ring = AsyncIoUring::current();
        let mut first = ring.cancel(id);
        let mut second = ring.cancel(id);
        let mut third = Box::new(ring.cancel(id));
        start(&mut first);
        let _asked = poll(&mut second);
        drop(first);
        target.request_cancel();
        let _asked = poll(&mut *third);
        pump(&runtime);
        model::deaf(false);
        runtime.handle().cancel(id);
        let (result, _buf) = settle(&runtime, seed, target);
        drop(result);
        drop((second, third));
        drop(entered);
        drop(runtime);
        assert_eq!(model::descriptors_open(), 0);
        assert!(model::pending().is_empty());
    }
}
