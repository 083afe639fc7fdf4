//! Wakers and destructors of the user.

use std::future::{Future, pending};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use ringspun::runtime::{CoreState, Handle, RemoteJoinHandle, Sharded, shutdown_requested};
use ringspun::task::CoreBound;
use ringspun::time::sleep;

use crate::support::{
    CountDrop, PanickingWaker, PanicsInDrop, child, cores, ends, in_a_process, poll_once,
};

#[test]
fn a_waker_that_panics_does_not_keep_the_cores_from_being_asked() {
    ends(|| {
        let runtime = cores(3);
        let handle = runtime.handle();
        for core in 0..2 {
            let asks = move || {
                let waker = Waker::from(Arc::new(PanickingWaker));
                let mut asked = Box::pin(shutdown_requested());
                assert!(poll_once(asked.as_mut(), &waker).is_pending());
                // Never dropped, so that it is never struck off.
                let _ = ManuallyDrop::new(asked);
            };
            runtime.block_on(handle.cores()[core].call(asks)).expect("no panic");
        }
        let asked = handle.clone();
        assert!(catch_unwind(AssertUnwindSafe(|| asked.shutdown(Duration::ZERO))).is_ok());
        while handle.cores()[1].is_alive() || handle.cores()[2].is_alive() {
            thread::yield_now();
        }
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

/// A task per connection waits for its work or for the end: what has ended leaves nothing behind.
#[test]
fn who_waited_for_the_end_and_left_is_forgotten() {
    struct Counted(#[allow(dead_code)] CountDrop);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    ends(|| {
        let runtime = cores(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            for _ in 0..1000 {
                let waker = Waker::from(Arc::new(Counted(CountDrop(Arc::clone(&dropped)))));
                let mut asked = pin!(shutdown_requested());
                assert!(poll_once(asked.as_mut(), &waker).is_pending());
            }
        });
        assert_eq!(dropped.load(Ordering::SeqCst), 1000);
    });
}

#[test]
fn awaited_elsewhere_the_end_comes_with_the_end_of_the_core() {
    ends(|| {
        let runtime = cores(2);
        let mut waiting = Vec::new();
        for core in 0..2 {
            let make = || {
                let mut asked = Box::pin(shutdown_requested());
                assert!(poll_once(asked.as_mut(), Waker::noop()).is_pending());
                asked as Pin<Box<dyn Future<Output = ()> + Send>>
            };
            let asked = runtime.handle().cores()[core].call(make);
            waiting.push(runtime.block_on(asked).expect("no panic"));
        }
        let waiting: Vec<_> =
            waiting.into_iter().map(|asked| thread::spawn(|| foreign_block_on(asked))).collect();
        drop(runtime);
        waiting.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}

#[test]
fn answers_wakers_and_payloads_that_panic_when_they_go() {
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        let core = &handle.cores()[1];
        for _ in 0..20 {
            // Nobody takes the answer.
            drop(core.call(|| PanicsInDrop));
            drop(core.call(|| panic_any(PanicsInDrop)));
            drop(core.spawn(|| async { PanicsInDrop }));
            drop(core.spawn(|| async { panic_any(PanicsInDrop) }));
            // Who waits cannot be woken, and has left its answer behind.
            let mut asked = Box::pin(core.spawn(|| async {
                sleep(Duration::from_micros(200)).await;
                PanicsInDrop
            }));
            let waker = Waker::from(Arc::new(PanickingWaker));
            assert!(poll_once(asked.as_mut(), &waker).is_pending());
            drop(asked);
        }
        assert_eq!(foreign_block_on(core.spawn(|| async { 4 })).expect("it goes on"), 4);
        assert_eq!(core.state(), CoreState::Running);
        assert!(runtime.shutdown().cores_failed.is_empty());
    });
}

#[test]
fn a_handle_dropped_by_the_waker_in_the_middle_of_the_answer() {
    struct DropsHandle(Mutex<Option<RemoteJoinHandle<CountDrop>>>);
    impl Wake for DropsHandle {
        fn wake(self: Arc<Self>) {
            let handle = self.0.lock().expect("no panic").take();
            drop(handle);
        }
    }
    ends(|| {
        let runtime = cores(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..200 {
            let answer = CountDrop(Arc::clone(&dropped));
            let (go, gone) = futures::channel::oneshot::channel::<()>();
            let mut sent = runtime.handle().spawn_on(1, || async move {
                let _ = gone.await;
                answer
            });
            let holder = Arc::new(DropsHandle(Mutex::new(None)));
            let waker = Waker::from(Arc::clone(&holder));
            assert!(poll_once(Pin::new(&mut sent), &waker).is_pending());
            *holder.0.lock().expect("no panic") = Some(sent);
            go.send(()).expect("it waits");
        }
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 200);
    });
}

#[test]
fn what_is_dropped_in_the_shutdown_spawns_on_every_core() {
    struct Spawns(Handle, Arc<AtomicUsize>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            for core in self.0.cores() {
                let guard = CountDrop(Arc::clone(&self.1));
                drop(core.spawn(move || async move {
                    let _guard = guard;
                    pending::<()>().await;
                }));
            }
        }
    }
    ends(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = cores(3);
        for core in 0..3 {
            let spawns = Spawns(runtime.handle(), Arc::clone(&dropped));
            drop(runtime.handle().spawn_on(core, move || async move {
                let _spawns = spawns;
                pending::<()>().await;
            }));
        }
        runtime.block_on(async { sleep(Duration::from_millis(5)).await });
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 9);
    });
}

#[test]
fn a_message_that_sends_itself_again_when_it_is_dropped() {
    struct Again(Option<Handle>);
    impl Drop for Again {
        fn drop(&mut self) {
            if let Some(handle) = self.0.take() {
                let again = Again(Some(handle.clone()));
                handle.cores()[1].run(move || drop(again));
            }
        }
    }
    const NAME: &str = "user_code::a_message_that_sends_itself_again_when_it_is_dropped";
    if !child() {
        // The end of the stack is the end of the process.
        assert!(in_a_process(NAME).status().expect("it runs").success());
        return;
    }
    ends(|| {
        let runtime = cores(2);
        let handle = runtime.handle();
        drop(runtime);
        drop(Again(Some(handle)));
    });
}

#[test]
fn a_destructor_in_the_shutdown_waits_for_another_core() {
    struct Asks(Handle, usize);
    impl Drop for Asks {
        fn drop(&mut self) {
            let _ = foreign_block_on(self.0.spawn_on(self.1, || async {}));
            let _ = foreign_block_on(self.0.cores()[self.1].call(|| ()));
        }
    }
    ends(|| {
        let runtime = cores(3);
        for core in 0..3 {
            let asks = Asks(runtime.handle(), (core + 1) % 3);
            drop(runtime.handle().spawn_on(core, move || async move {
                let _asks = asks;
                pending::<()>().await;
            }));
        }
        runtime.block_on(async { sleep(Duration::from_millis(5)).await });
        assert!(runtime.shutdown().cores_left_behind.is_empty());
    });
}

#[test]
fn bound_values_in_closures_that_a_closed_core_drops() {
    struct Local {
        home: thread::ThreadId,
        gone: Arc<AtomicUsize>,
        _not_send: Rc<()>,
    }
    impl Drop for Local {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.home);
            self.gone.fetch_add(1, Ordering::SeqCst);
        }
    }
    ends(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let runtime = cores(2);
        let handle = runtime.handle();
        runtime.block_on(async {
            handle.cores()[1].shutdown(Duration::ZERO);
            while handle.cores()[1].is_alive() {
                sleep(Duration::from_millis(1)).await;
            }
            for round in 0..100 {
                let home = thread::current().id();
                let gone = Arc::clone(&gone);
                let local = CoreBound::new(Local { home, gone, _not_send: Rc::new(()) });
                let handle = handle.clone();
                if round % 2 == 0 {
                    handle.cores()[1].run(move || drop(local));
                } else {
                    // From a thread that is no core: it comes home.
                    thread::spawn(move || handle.cores()[1].run(move || drop(local)));
                }
            }
            while gone.load(Ordering::SeqCst) < 100 {
                sleep(Duration::from_millis(1)).await;
            }
        });
    });
}

#[test]
fn sharded_values_dropped_anywhere() {
    struct Local(thread::ThreadId, Arc<AtomicUsize>);
    impl Drop for Local {
        fn drop(&mut self) {
            assert_eq!(thread::current().id(), self.0);
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    ends(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let runtime = cores(3);
        let make = || {
            let gone = Arc::clone(&gone);
            let make = move |_| Local(thread::current().id(), gone);
            runtime.block_on(Sharded::new(&runtime.handle(), make)).expect("no panic")
        };
        // On a thread that is no core; values on core 0 come home in a turn.
        let (first, second, third) = (make(), make(), make());
        thread::spawn(move || drop(first)).join().expect("no panic");
        let on_core = runtime.handle().cores()[1].call(move || drop(second));
        runtime.block_on(on_core).expect("no panic");
        runtime.block_on(async {
            while gone.load(Ordering::SeqCst) < 6 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        drop(runtime);
        // After the runtime: core 0's is at home; the others have none, and are leaked.
        assert!(foreign_block_on(third.on(1, |_| ())).unwrap_err().is_cancelled());
        drop(third);
        assert_eq!(gone.load(Ordering::SeqCst), 7);
    });
}
