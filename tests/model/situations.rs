//! All that can happen to the future of an op, for any op.

use std::fmt::Debug;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringspun::model::{self, MORE, NOTIF};
use ringspun::op::{Op, Submission, link, submit};
use ringspun::runtime::Runtime;

use super::support::{Counts, Watched, poll, pump, runtime, runtime_of, settle, start};

type Situation<T> = fn(&mut Case<'_, T>);
type Future1<T> = Submission<Watched<T>>;

/// Random results differ by the seed; a few are enough, for each kind of result is a situation.
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };

/// Takes the op that `make` makes, inside the runtime, through all of it.
pub fn drive<T: Op<Output: Debug>>(make: impl Fn() -> T) {
    run_all(&make, all().into_iter());
}

/// The same for an op whose memory has the shape of one that is driven: Miri, which is slow, sees
/// only those situations that tell ops from one another.
pub fn drive_alike<T: Op<Output: Debug>>(make: impl Fn() -> T) {
    const TELLING: [&str; 2] = ["moved", "dropped_in_flight"];
    let chosen = all().into_iter().filter(|(name, _)| !cfg!(miri) || TELLING.contains(name));
    run_all(&make, chosen);
}

fn all<T: Op<Output: Debug>>() -> [(&'static str, Situation<T>); 16] {
    [
        ("awaited", awaited),
        ("moved", moved),
        ("dropped_before_poll", dropped_before_poll),
        ("dropped_in_flight", dropped_in_flight),
        ("dropped_when_done", dropped_when_done),
        ("forgotten", forgotten),
        ("cancelled_reserved", cancelled_reserved),
        ("cancelled_queued", cancelled_queued),
        ("cancelled_in_kernel", cancelled_in_kernel),
        ("late", late),
        ("notified", notified),
        ("chained", chained),
        ("chain_dropped", chain_dropped),
        ("timed_out", timed_out),
        ("tasks", tasks),
        ("shut_down", shut_down),
    ]
}

fn run_all<T: Op<Output: Debug>>(
    make: &dyn Fn() -> T,
    chosen: impl Iterator<Item = (&'static str, Situation<T>)>,
) {
    for (name, situation) in chosen {
        for seed in 1..=SEEDS {
            println!("{name}, seed {seed}");
            let counts = Rc::new(Counts::default());
            model::automatic(seed);
            model::manual();
            let mut case = Case { make, counts: Rc::clone(&counts), seed, kept: None };
            situation(&mut case);
            let kept = case.kept.take();
            drop(case);
            drop(kept);
            counts.all_ended();
            assert_eq!(model::descriptors_open(), 0, "every descriptor was closed");
            assert!(model::pending().is_empty());
        }
    }
}

struct Case<'a, T: Op<Output: Debug>> {
    make: &'a dyn Fn() -> T,
    counts: Rc<Counts>,
    seed: u64,
    /// A future that outlives its runtime.
    kept: Option<Future1<T>>,
}

impl<T: Op<Output: Debug>> Case<'_, T> {
    fn op(&self) -> Watched<T> {
        Watched::new((self.make)(), &self.counts)
    }

    fn future(&self) -> Future1<T> {
        submit(self.op())
    }

    /// A future whose op is in the kernel.
    fn started(&self, runtime: &Runtime) -> Future1<T> {
        let mut future = self.future();
        start(&mut future);
        pump(runtime);
        assert_eq!(model::pending().last().map(|sqe| sqe.opcode), Some(opcode_of(self.make)));
        future
    }
}

fn opcode_of<T: Op>(make: &dyn Fn() -> T) -> u8 {
    make().prepare().opcode
}

fn awaited<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    drop(settle(&runtime, case.seed, case.future()));
    assert_eq!(case.counts.completed.get(), 1);
}

/// Every way to move a value, with its op in the kernel.
fn moved<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut futures = Vec::new();
    for _ in 0..3 {
        // Returned; pushed, and moved by the growing vector.
        futures.push(case.started(&runtime));
    }
    let (left, right) = futures.split_at_mut(1);
    std::mem::swap(&mut left[0], &mut right[1]);
    let mut last = Some(Box::new(futures.pop().expect("three")));
    for future in &mut futures {
        start(future);
    }
    let boxed = last.take().expect("some");
    futures.push(*boxed);
    let whole: [Future1<T>; 3] = futures.try_into().expect("three");
    let [first, second, third] = whole;
    drop(settle(&runtime, case.seed, async move {
        let moved = (second, third);
        let outputs = (first.await, moved.0.await);
        (outputs, moved.1.await)
    }));
    assert_eq!(case.counts.completed.get(), 3);
}

fn dropped_before_poll<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    drop(case.future());
    let mut reserved = case.future();
    let _id = reserved.id();
    drop(reserved);
    // Polled, but still on our side of the queue: it has no room.
    drop(case.future());
    assert_eq!(case.counts.completed.get(), 0);
}

/// The kernel goes on for a while, then does it, or hears of the cancel.
fn dropped_in_flight<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let future = case.started(&runtime);
    drop(future);
    assert_eq!(case.counts.ended.get(), 0, "the kernel has it");
    model::deaf(true);
    pump(&runtime);
    assert_eq!(case.counts.ended.get(), 0, "the cancel's answer is not the op's");
    finish_all(&runtime);
    model::deaf(false);
    assert_eq!(case.counts.completed.get(), 1);
    let cancelled = Box::new(case.started(&runtime));
    drop(cancelled);
    pump(&runtime);
    pump(&runtime);
    assert_eq!(case.counts.completed.get(), 2);
    // In the submission queue, but not entered.
    let mut pushed = case.future();
    start(&mut pushed);
    drop(pushed);
    pump(&runtime);
    pump(&runtime);
    assert_eq!(case.counts.completed.get(), 3);
}

fn finish_all(runtime: &Runtime) {
    for _ in 0..100 {
        if model::pending().is_empty() {
            return;
        }
        model::finish(0);
        pump(runtime);
    }
    panic!("it never ends: {:?}", model::pending());
}

fn dropped_when_done<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let future = case.started(&runtime);
    finish_all(&runtime);
    assert_eq!(case.counts.completed.get(), 0, "nobody has taken it");
    drop(future);
    assert_eq!(case.counts.completed.get(), 1, "what it gave is dropped");
}

/// As `mem::forget` does; here the memory is kept, to be given back.
fn forgotten<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut new = ManuallyDrop::new(case.future());
    let mut submitted = ManuallyDrop::new(case.started(&runtime));
    let mut done = ManuallyDrop::new(case.started(&runtime));
    model::finish(1);
    pump(&runtime);
    drop(entered);
    drop(runtime);
    assert_eq!(case.counts.ended.get(), 0);
    for future in [&mut new, &mut submitted, &mut done] {
        // SAFETY: once for each, and they are not used again.
        unsafe { ManuallyDrop::drop(future) };
    }
}

fn cancelled_reserved<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let before = model::submitted();
    let mut future = case.future();
    let id = future.id();
    runtime.handle().cancel(id);
    pump(&runtime);
    let mut future = Box::new(future);
    assert!(poll(&mut *future).is_ready());
    drop(case.future().cancel());
    let mut cancelled = case.future().cancel();
    assert!(poll(&mut cancelled).is_ready());
    assert!(model::pending().is_empty());
    // The poll on the notifier.
    assert!(model::submitted() <= before + 1, "the kernel was not asked");
}

/// The ring has room for one entry, and others are before.
fn cancelled_queued<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime_of(1);
    let _entered = runtime.enter();
    let mut futures: Vec<_> = (0..4).map(|_| case.future()).collect();
    for future in &mut futures {
        start(future);
    }
    let id = futures[1].id();
    runtime.handle().cancel(id);
    let dropped = futures.remove(2);
    drop(dropped);
    assert_eq!(case.counts.ended.get(), 1, "it had not left us");
    runtime.turn(Some(Duration::ZERO)).expect("no error");
    let mut cancelled = futures.remove(1);
    assert!(poll(&mut cancelled).is_ready());
    settle(&runtime, case.seed, async move {
        for future in futures {
            drop(future.await);
        }
    });
}

fn cancelled_in_kernel<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let future = case.started(&runtime);
    let mut future = Box::new(future.cancel());
    start(&mut *future);
    pump(&runtime);
    pump(&runtime);
    assert!(poll(&mut *future).is_ready());
    // The cancel loses.
    let future = case.started(&runtime);
    let mut future = future.cancel();
    finish_all(&runtime);
    assert!(poll(&mut future).is_ready());
    drop(future);
    drop(settle(&runtime, case.seed, case.started(&runtime).cancel()));
}

/// The answer comes long after the cancel, the future having moved meanwhile.
fn late<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    model::deaf(true);
    let future = case.started(&runtime).cancel();
    pump(&runtime);
    let mut future = Box::new(future);
    start(&mut *future);
    model::deaf(false);
    finish_all(&runtime);
    let mut future = *future;
    assert!(poll(&mut future).is_ready());
    assert_eq!(case.counts.completed.get(), 1);
}

/// A result first, the memory later, as with zero copy.
fn notified<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    model::deaf(true);
    for dropped in [None, Some(0), Some(1)] {
        let mut future = Some(case.started(&runtime));
        if dropped == Some(0) {
            future = None;
        }
        // Not a number that an op would take for a descriptor.
        model::complete(0, -libc::EIO, MORE);
        pump(&runtime);
        if dropped == Some(1) {
            future = None;
        }
        let mut future = future.map(Box::new);
        if let Some(future) = &mut future {
            start(&mut **future);
        }
        let before = case.counts.ended.get();
        model::complete(0, 0, NOTIF);
        pump(&runtime);
        let ready = future.as_mut().map(|future| poll(&mut **future).is_ready());
        assert_ne!(ready, Some(false));
        drop(future);
        assert_eq!(case.counts.ended.get(), before + 1);
    }
    model::deaf(false);
}

fn chained<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut soft = link(vec![case.op(), case.op(), case.op()]);
    start(&mut soft);
    pump(&runtime);
    let soft = Box::new(soft);
    let mut hard = link((case.op(), case.op())).hard();
    start(&mut hard);
    pump(&runtime);
    let pair = (soft, hard);
    settle(&runtime, case.seed, async move {
        assert!(pair.1.await.is_ok());
        assert!(pair.0.await.is_ok());
    });
    assert_eq!(case.counts.completed.get(), 5);
    let too_long: Vec<_> = (0..17).map(|_| case.op()).collect();
    assert!(matches!(poll(&mut link(too_long)), Poll::Ready(Err(_))));
    let mut cancelled = link((case.op(), case.op()));
    start(&mut cancelled);
    pump(&runtime);
    cancelled.request_cancel();
    drop(settle(&runtime, case.seed, cancelled));
}

fn chain_dropped<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime_of(4);
    let _entered = runtime.enter();
    drop(link((case.op(), case.op())));
    for done in [false, true] {
        let mut chain = link((case.op(), case.op(), case.op()));
        start(&mut chain);
        pump(&runtime);
        let mut queued = link(vec![case.op(), case.op(), case.op(), case.op()]);
        start(&mut queued);
        let mut behind = link(vec![case.op(), case.op()]);
        start(&mut behind);
        drop(behind);
        if done {
            model::finish(0);
            pump(&runtime);
        }
        let chain = Box::new(chain);
        drop(chain);
        drop(queued);
        for _ in 0..8 {
            pump(&runtime);
        }
        finish_all(&runtime);
        case.counts.all_ended();
    }
}

fn timed_out<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let _entered = runtime.enter();
    // Nothing completes by itself, so it is the deadline that ends it.
    let mut future = case.future().timeout(Duration::from_micros(10));
    let mut unfinished = Box::new(runtime.block_on(async move {
        drop(
            std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut future).poll(cx))).await,
        );
        future
    }));
    drop(runtime.block_on(&mut *unfinished));
    assert_eq!(case.counts.completed.get(), 1);
}

/// Awaited in tasks that are joined, aborted, detached.
fn tasks<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime();
    let entered = runtime.enter();
    let (one, two, three) = (case.future(), case.future(), case.future());
    settle(&runtime, case.seed, async move {
        let joined = ringspun::spawn(async move { drop(one.await) });
        let aborted = ringspun::spawn(async move { drop(two.await) });
        ringspun::spawn(async move { drop(three.await) }).detach();
        ringspun::task::yield_now().await;
        aborted.abort();
        assert!(joined.await.is_ok());
        drop(aborted.await);
    });
    drop(entered);
    drop(runtime);
}

/// The runtime goes while ops are in every stage, and drains. One future outlives it.
fn shut_down<T: Op<Output: Debug>>(case: &mut Case<'_, T>) {
    let runtime = runtime_of(2);
    let entered = runtime.enter();
    let orphan = case.started(&runtime);
    case.kept = Some(case.started(&runtime));
    let (one, two) = (case.future(), case.op());
    ringspun::spawn(async move { drop(one.await) }).detach();
    let chain = link((two, case.op()));
    ringspun::spawn(async move { drop(chain.await) }).detach();
    pump(&runtime);
    drop(orphan);
    let mut queued: Vec<_> = (0..4).map(|_| case.future()).collect();
    for future in &mut queued {
        start(future);
    }
    drop(entered);
    drop(runtime);
    if case.seed == 1 {
        let kept = case.kept.as_mut().expect("kept");
        assert!(poll(kept).is_ready(), "it has its outcome");
    }
    drop(queued);
}
