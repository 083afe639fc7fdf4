//! The timers on simulated time: who is woken, in which order, and how late.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::{AT_ONCE_MAX, CLUSTER_MIN, FIRE_MAX, NextWait, SLACK_DEFAULT, Timers, WAIT_MAX};
use crate::time::deadline::Deadline;

const US: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);

thread_local! {
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn clock() -> Instant {
    let now = NOW.get().unwrap_or_else(Instant::now);
    NOW.set(Some(now));
    now
}

fn advance(by: Duration) -> Instant {
    NOW.set(Some(clock() + by));
    clock()
}

/// Writes its name down when it is woken.
struct Named {
    name: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("no test panics with it").push(self.name);
    }
}

fn named(name: usize, woken: &Arc<Mutex<Vec<usize>>>) -> Waker {
    Waker::from(Arc::new(Named { name, woken: Arc::clone(woken) }))
}

struct Act<F: Fn() + Send + Sync + 'static>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn set(after: Duration) -> Deadline {
    let mut deadline = Deadline::after(after);
    assert_eq!(deadline.poll_elapsed(Waker::noop()), Poll::Pending);
    deadline
}

/// Waits as the loop does until no timer is left. Answers (wakes, greatest lateness).
fn drive(timers: &Timers, mut deadlines: Vec<Deadline>) -> (usize, Duration) {
    deadlines.sort_by_key(Deadline::at);
    let mut taken = 0;
    let mut wakes = 0;
    let mut latest = Duration::ZERO;
    loop {
        match timers.next_wait(clock()) {
            NextWait::Forever => break,
            NextWait::Due => {}
            NextWait::For(wait) => {
                assert!(!wait.is_zero());
                advance(wait);
                wakes += 1;
            }
        }
        let fired = timers.fire(clock());
        assert!(fired > 0, "a wait that ends with nothing due");
        for deadline in &mut deadlines[taken..taken + fired] {
            assert!(deadline.at() <= clock(), "early");
            assert_eq!(deadline.poll_elapsed(Waker::noop()), Poll::Ready(()));
            latest = latest.max(clock() - deadline.at());
        }
        taken += fired;
    }
    assert_eq!(taken, deadlines.len());
    (wakes, latest)
}

#[test]
fn sparse_timers_are_exact() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    // Eleven in a slack are worth 176 us, and that serves two.
    let deadlines: Vec<_> = (1..300).map(|nth| set(US * 100 * nth)).collect();
    let (wakes, latest) = drive(&timers, deadlines);
    assert_eq!(latest, Duration::ZERO);
    assert_eq!(wakes, 299);
}

#[test]
fn dense_timers_share_wakes() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let count = if cfg!(miri) { 300 } else { 10_000 };
    // One each 9.9 us, made in another order.
    let deadlines: Vec<_> =
        (0..count).map(|nth| set(MS + Duration::from_nanos(9_900) * (nth * 7 % count))).collect();
    let (wakes, latest) = drive(&timers, deadlines);
    assert!(latest <= SLACK_DEFAULT);
    assert!(wakes * 15 <= count as usize, "{wakes} wakes for {count} timers");
}

#[test]
fn dense_timers_without_slack_are_exact() {
    let timers = Timers::new(clock);
    timers.set_slack(Duration::ZERO);
    let _entered = timers.enter();
    let deadlines: Vec<_> = (1..300).map(|nth| set(US * 10 * nth)).collect();
    let (wakes, latest) = drive(&timers, deadlines);
    assert_eq!((wakes, latest), (299, Duration::ZERO));
}

#[test]
fn equal_deadlines_are_not_held_back() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let deadlines: Vec<_> = (0..1000).map(|_| set(MS)).collect();
    assert_eq!(drive(&timers, deadlines), (1, Duration::ZERO));
}

#[test]
fn lone_timer_after_a_storm_is_exact() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let storm: Vec<_> = (1..100).map(|nth| set(US * nth)).collect();
    let (_, latest) = drive(&timers, storm);
    assert!(latest > Duration::ZERO);
    assert_eq!(drive(&timers, vec![set(MS)]), (1, Duration::ZERO));
}

#[test]
fn cluster_needs_several() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut deadlines: Vec<_> = (1..CLUSTER_MIN as u32).map(|nth| set(US * nth)).collect();
    assert_eq!(timers.next_wait(clock()), NextWait::For(US));
    // Four within the slack, but the fourth is further off than they are worth.
    deadlines.push(set(SLACK_DEFAULT));
    assert_eq!(timers.next_wait(clock()), NextWait::For(US));
    deadlines.push(set(US * 40));
    assert_eq!(timers.next_wait(clock()), NextWait::For(US * 40));
    deadlines[0].disarm();
    assert_eq!(timers.next_wait(clock()), NextWait::For(US * 2));
}

#[test]
fn woken_in_order_of_deadlines() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let woken = Arc::default();
    let mut kept = Vec::new();
    for (name, after) in [5_u32, 1, 3, 1, 5, 0, 3].into_iter().enumerate() {
        let mut deadline = Deadline::after(MS + US * after);
        assert!(deadline.poll_elapsed(&named(name, &woken)).is_pending());
        kept.push(deadline);
    }
    assert_eq!(timers.fire(advance(US)), 0);
    assert_eq!(timers.fire(advance(MS)), 3);
    assert_eq!(timers.fire(advance(MS)), 4);
    assert_eq!(*woken.lock().expect("no panic"), [5, 1, 3, 2, 6, 0, 4]);
}

#[test]
fn waker_replaced() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let woken = Arc::default();
    let mut deadline = Deadline::after(MS);
    for name in [0, 1, 1, 2] {
        assert!(deadline.poll_elapsed(&named(name, &woken)).is_pending());
    }
    assert_eq!(timers.len(), 1);
    timers.fire(advance(MS));
    assert_eq!(*woken.lock().expect("no panic"), [2]);
}

#[test]
fn waker_panics() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let woken = Arc::default();
    let panics = Waker::from(Arc::new(Act(|| panic!("a waker that panics, for the test"))));
    let mut kept = Vec::new();
    for name in 0..5 {
        let waker = if name % 2 == 1 { panics.clone() } else { named(name, &woken) };
        let mut deadline = Deadline::after(MS);
        assert!(deadline.poll_elapsed(&waker).is_pending());
        kept.push(deadline);
    }
    assert_eq!(timers.fire(advance(MS)), 5);
    assert_eq!(*woken.lock().expect("no panic"), [0, 2, 4]);
    assert_eq!(timers.waker_panics(), 2);
}

#[test]
fn waker_uses_the_timers() {
    thread_local! {
        static INSIDE: std::cell::RefCell<Vec<Deadline>> =
            const { std::cell::RefCell::new(Vec::new()) };
    }
    /// Sets, asks and fires from inside of clone, wake and drop.
    struct Meddles;
    fn meddle() {
        let timers = crate::time::current::timers().expect("entered");
        let mut deadline = Deadline::after(Duration::ZERO);
        let _ready = deadline.poll_elapsed(Waker::noop());
        timers.fire(clock());
        assert_ne!(timers.next_wait(clock()), NextWait::Due);
        INSIDE.with_borrow_mut(Vec::pop);
    }
    impl Wake for Meddles {
        fn wake(self: Arc<Self>) {
            meddle();
        }
    }
    impl Drop for Meddles {
        fn drop(&mut self) {
            meddle();
        }
    }
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    for _ in 0..4 {
        let mut deadline = Deadline::after(MS);
        assert!(deadline.poll_elapsed(&Waker::from(Arc::new(Meddles))).is_pending());
        assert!(deadline.poll_elapsed(&Waker::from(Arc::new(Meddles))).is_pending());
        INSIDE.with_borrow_mut(|inside| inside.push(deadline));
    }
    timers.fire(advance(MS));
    INSIDE.with_borrow_mut(Vec::clear);
    assert!(!timers.any());
    assert_eq!(timers.waker_panics(), 0);
}

#[test]
fn more_due_than_one_turn_takes() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let _kept: Vec<_> = (0..=FIRE_MAX).map(|_| set(MS)).collect();
    let now = advance(MS);
    assert_eq!(timers.fire(now), FIRE_MAX);
    assert_eq!(timers.next_wait(now), NextWait::Due);
    assert_eq!(timers.fire(now), 1);
    assert_eq!(timers.next_wait(now), NextWait::Forever);
}

#[test]
fn waker_that_sets_a_due_timer_does_not_hold_the_turn() {
    struct Again(AtomicUsize);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            let timers = crate::time::current::timers().expect("entered");
            let waker = Waker::from(self);
            timers.heap.borrow_mut().insert(0, crate::wake::LocalWaker::new(&waker));
        }
    }
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let again = Arc::new(Again(AtomicUsize::new(0)));
    Waker::from(Arc::clone(&again)).wake_by_ref();
    assert_eq!(timers.fire(clock()), FIRE_MAX);
    assert_eq!(again.0.load(Ordering::Relaxed), FIRE_MAX + 1);
    timers.clear();
}

#[test]
fn elapsed_at_the_first_poll() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let past = clock();
    advance(MS);
    // Nobody has told the timers of the new time.
    assert!(Deadline::new_at(past + MS).poll_elapsed(Waker::noop()).is_ready());
    let mut ready = 0;
    loop {
        let mut deadline = Deadline::after(Duration::ZERO);
        if deadline.poll_elapsed(Waker::noop()).is_ready() {
            ready += 1;
            continue;
        }
        // This one goes through the loop.
        assert_eq!(timers.next_wait(clock()), NextWait::Due);
        assert_eq!(timers.fire(clock()), 1);
        assert!(deadline.poll_elapsed(Waker::noop()).is_ready());
        break;
    }
    assert_eq!(ready + 1, AT_ONCE_MAX);
    assert!(Deadline::after(Duration::ZERO).poll_elapsed(Waker::noop()).is_ready());
}

#[test]
fn durations_without_end() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    let _kept = [set(Duration::MAX), set(century), set(Duration::from_nanos(u64::MAX))];
    assert_eq!(timers.next_wait(clock()), NextWait::For(WAIT_MAX));
    assert_eq!(timers.fire(clock() + century - US), 0);
    assert_eq!(timers.fire(clock() + century), 1);
    let _past = Deadline::new_at(timers.base - US);
    assert_eq!(timers.since_base(timers.base - US), 0);
}

#[test]
fn cleared_then_polled() {
    let timers = Timers::new(clock);
    let _entered = timers.enter();
    let mut deadline = set(MS);
    timers.clear();
    assert!(!timers.any());
    assert!(deadline.poll_elapsed(Waker::noop()).is_pending(), "clearing is not firing");
    timers.fire(advance(MS));
    assert!(deadline.poll_elapsed(Waker::noop()).is_ready());
}

#[test]
fn random_walk_against_model() {
    let (walks, steps) = if cfg!(miri) { (2, 200) } else { (30, 3000) };
    for seed in 1..=walks {
        let timers = Timers::new(clock);
        let _entered = timers.enter();
        let woken: Arc<Mutex<Vec<usize>>> = Arc::default();
        let mut random = seed * 0x9E37_79B9_u64;
        let mut below = |bound: u64| {
            // xorshift
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        // (deadline, age, name), and the sleepers by name.
        let mut model = std::collections::BTreeSet::new();
        let mut sleepers = std::collections::BTreeMap::new();
        for step in 0..steps {
            match below(6) {
                0 => {
                    let now = advance(US * below(300) as u32);
                    let fired = timers.fire(now);
                    let due: Vec<_> = model
                        .iter()
                        .copied()
                        .take_while(|entry: &(_, _, _)| entry.0 <= now)
                        .collect();
                    assert_eq!(fired, due.len());
                    let names: Vec<usize> = due.iter().map(|entry| entry.2).collect();
                    assert_eq!(std::mem::take(&mut *woken.lock().expect("no panic")), names);
                    for entry in due {
                        model.remove(&entry);
                        let (mut deadline, _): (Deadline, _) =
                            sleepers.remove(&entry.2).expect("in both");
                        assert!(deadline.poll_elapsed(Waker::noop()).is_ready());
                    }
                }
                1 if !model.is_empty() => {
                    let nth = below(model.len() as u64) as usize;
                    let &entry = model.iter().nth(nth).expect("below len");
                    model.remove(&entry);
                    sleepers.remove(&entry.2);
                }
                2 if !model.is_empty() => {
                    let nth = below(model.len() as u64) as usize;
                    let &entry = model.iter().nth(nth).expect("below len");
                    model.remove(&entry);
                    let (deadline, waker) = sleepers.get_mut(&entry.2).expect("in both");
                    let at = clock() + US * (1 + below(500) as u32);
                    deadline.reset(at);
                    assert!(deadline.poll_elapsed(waker).is_pending());
                    model.insert((at, step, entry.2));
                }
                _ => {
                    let waker = named(step, &woken);
                    let mut deadline = Deadline::after(US * (1 + below(500) as u32));
                    assert!(deadline.poll_elapsed(&waker).is_pending());
                    model.insert((deadline.at(), step, step));
                    sleepers.insert(step, (deadline, waker));
                }
            }
            assert_eq!(timers.len(), model.len());
            check_wait(&timers, &model);
        }
    }
}

fn check_wait(timers: &Timers, model: &std::collections::BTreeSet<(Instant, usize, usize)>) {
    let now = clock();
    let first = model.first().map(|entry| entry.0);
    match timers.next_wait(now) {
        NextWait::Forever => assert_eq!(first, None),
        NextWait::Due => assert!(first.is_some_and(|at| at <= now)),
        NextWait::For(wait) => {
            let first = first.expect("waits for somebody");
            let until = now + wait;
            assert!(first > now && until >= first && until <= first + SLACK_DEFAULT);
            let due = model.iter().take_while(|entry| entry.0 <= until).count();
            assert!(until == first || due >= CLUSTER_MIN);
        }
    }
}
