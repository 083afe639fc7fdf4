//! Tasks: what becomes of them, and who gets a turn when.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringspun::op::{Nop, Read, submit};
use ringspun::task::{self, JoinSet, yield_now};
use ringspun::time::sleep;

use crate::support::{Pipe, block_on, builder, text_of, turn, until};

#[test]
fn awaited() {
    block_on(async {
        let local = Rc::new(5);
        let task = ringspun::spawn(async move { *local });
        assert!(!task.is_finished());
        turn().await;
        assert!(task.is_finished());
        assert_eq!(task.await.expect("no panic"), 5);
    });
}

#[test]
fn aborted() {
    block_on(async {
        let token = Rc::new(());
        let kept = Rc::clone(&token);
        let task = ringspun::spawn(async move {
            pending::<()>().await;
            drop(kept);
        });
        turn().await;
        task.abort();
        assert_eq!(Rc::strong_count(&token), 2, "never within the call");
        let error = task.await.expect_err("it was aborted");
        assert!(error.is_cancelled() && !error.is_panic());
        assert!(error.to_string().contains("was cancelled"), "{error}");
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

#[test]
fn aborted_with_an_op_in_flight() {
    let ledger = crate::support::Ledger::open();
    block_on(async {
        let pipe = Pipe::new();
        let read = submit(Read::new(&pipe.reader, ledger.buffers.empty(8), Read::CURSOR));
        let task = ringspun::spawn(read);
        turn().await;
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
        let buffers = ledger.buffers.clone();
        until("the kernel lets go", move || buffers.live() == 0).await;
    });
    ledger.close();
}

#[test]
fn aborted_after_its_end() {
    block_on(async {
        let task = ringspun::spawn(async { 1 });
        turn().await;
        task.abort();
        assert_eq!(task.await.expect("it had ended"), 1);
    });
}

#[test]
fn aborted_from_another_thread() {
    block_on(async {
        let task = ringspun::spawn(pending::<()>());
        let abort = task.abort_handle();
        let thread = std::thread::spawn(move || abort.abort());
        assert!(task.await.expect_err("it was aborted").is_cancelled());
        thread.join().expect("no panic");
    });
}

#[test]
fn detached() {
    block_on(async {
        let done = Rc::new(Cell::new(0));
        for explicitly in [true, false] {
            let done = Rc::clone(&done);
            let task = ringspun::spawn(async move {
                sleep(Duration::from_millis(1)).await;
                done.set(done.get() + 1);
            });
            if explicitly { task.detach() } else { drop(task) }
        }
        until("both are done", move || done.get() == 2).await;
    });
}

#[test]
fn a_panic_stays_in_its_task() {
    block_on(async {
        let other = ringspun::spawn(async {
            sleep(Duration::from_millis(2)).await;
            "untouched"
        });
        let task = ringspun::spawn(async { panic!("of this task alone") });
        let error = task.await.expect_err("it panicked");
        assert!(error.is_panic() && !error.is_cancelled());
        assert!(error.to_string().contains("of this task alone"), "{error}");
        assert_eq!(text_of(&*error.into_panic()), "of this task alone");
        assert_eq!(other.await.expect("no panic"), "untouched");
        // Nobody listens: it goes to standard error, and the core goes on.
        ringspun::spawn(async { panic!("of a detached task") }).detach();
        turn().await;
        submit(Nop::new()).await.expect("a nop");
    });
}

#[test]
fn a_panic_in_main_leaves_the_runtime_usable() {
    let runtime = crate::support::runtime();
    let kept = Rc::new(RefCell::new(None));
    let text = crate::support::panic_text(|| {
        runtime.block_on(async {
            *kept.borrow_mut() = Some(ringspun::spawn(async { 3 }));
            panic!("of main");
        });
    });
    assert_eq!(text, "of main");
    let task = kept.borrow_mut().take().expect("it was spawned");
    assert_eq!(runtime.block_on(task).expect("it is alive"), 3);
}

#[test]
fn named() {
    block_on(async {
        let task = task::Builder::new().name("flusher").spawn(async {
            let name = task::name().map(|name| name.to_string());
            (name, task::id())
        });
        let id = task.id();
        let (name, inside) = task.await.expect("no panic");
        assert_eq!(name.as_deref(), Some("flusher"));
        assert_eq!(inside, id);
    });
    assert!(task::try_id().is_none() && task::name().is_none(), "no task runs here");
}

#[test]
fn joined_in_the_order_of_their_ends() {
    block_on(async {
        let mut set = JoinSet::new();
        for n in [30, 10, 20] {
            set.spawn(async move {
                sleep(Duration::from_millis(n)).await;
                n
            });
        }
        let mut ended = Vec::new();
        while let Some(result) = set.join_next().await {
            ended.push(result.expect("no panic"));
        }
        assert_eq!(ended, [10, 20, 30]);
        assert!(set.is_empty());
    });
}

#[test]
fn a_set_that_is_dropped_aborts() {
    block_on(async {
        let token = Rc::new(());
        let mut set = JoinSet::new();
        for _ in 0..10 {
            let token = Rc::clone(&token);
            set.spawn(async move {
                pending::<()>().await;
                drop(token);
            });
        }
        turn().await;
        drop(set);
        until("all are gone", move || Rc::strong_count(&token) == 1).await;
    });
}

#[test]
fn a_set_with_a_panic_and_an_abort() {
    block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async { 1 });
        set.spawn(async { panic!("one of three") });
        set.spawn(pending()).abort();
        let mut seen = [0; 3];
        while let Some(result) = set.join_next().await {
            match result {
                Ok(output) => seen[0] += output,
                Err(error) if error.is_panic() => seen[1] += 1,
                Err(error) => seen[2] += u32::from(error.is_cancelled()) as i32,
            }
        }
        assert_eq!(seen, [1, 1, 1]);
    });
}

#[test]
fn yields_take_turns() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks = ["a", "b", "c"].map(|name| {
            let order = Rc::clone(&order);
            ringspun::spawn(async move {
                for _ in 0..4 {
                    order.borrow_mut().push(name);
                    yield_now().await;
                }
            })
        });
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(order.borrow().concat(), "abcabcabcabc");
    });
}

#[test]
fn main_is_one_among_equals() {
    // Woken at the same time, main gets as many turns as a task.
    block_on(async {
        let turns = Rc::new(Cell::new(0));
        let counted = Rc::clone(&turns);
        let task = ringspun::spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        });
        for n in 1..=100 {
            yield_now().await;
            assert!(turns.get() >= n - 1 && turns.get() <= n + 1, "{} of {n}", turns.get());
        }
        task.abort();
    });
}

#[test]
fn a_task_that_wakes_itself_starves_nobody() {
    for batch in [1, 256] {
        let runtime = builder().batch(batch).build().expect("a ring");
        runtime.block_on(async {
            let spinner = ringspun::spawn(poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            // I/O, timers and wakes from other threads go on.
            let mut pipe = Pipe::new();
            let read = ringspun::spawn(submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR)));
            sleep(Duration::from_millis(2)).await;
            pipe.write(b"x");
            assert_eq!(read.await.expect("no panic").0.expect("a byte"), 1);
            let (sender, receiver) = futures::channel::oneshot::channel();
            let thread = std::thread::spawn(move || sender.send(1));
            assert_eq!(receiver.await, Ok(1));
            assert_eq!(thread.join().expect("no panic"), Ok(()));
            spinner.abort();
            assert!(spinner.await.expect_err("aborted").is_cancelled());
        });
    }
}

#[test]
fn main_that_wakes_itself_starves_nobody() {
    let mut pipe = Pipe::new();
    block_on(async {
        let read = ringspun::spawn(submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR)));
        turn().await;
        pipe.write(b"x");
        while !read.is_finished() {
            yield_now().await;
        }
        assert_eq!(read.await.expect("no panic").0.expect("a byte"), 1);
    });
}

#[test]
fn sleeps_that_have_passed_starve_nobody() {
    block_on(async {
        let mut pipe = Pipe::new();
        let read = ringspun::spawn(submit(Read::new(&pipe.reader, vec![0; 8], Read::CURSOR)));
        turn().await;
        pipe.write(b"x");
        while !read.is_finished() {
            sleep(Duration::ZERO).await;
        }
    });
}
