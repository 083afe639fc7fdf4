//! Cores that fail or block.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures::executor::block_on as foreign_block_on;
use ringspun::runtime::{CoreState, Handle};

use crate::support::{builder, child, cores, ends, in_a_process};

#[test]
fn a_core_that_is_left_behind_refuses_what_is_sent() {
    ends(|| {
        let runtime =
            builder().cores(2).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let handle = runtime.handle();
        let (said, entered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        handle.cores()[1].run(move || {
            said.send(()).expect("it is awaited");
            let _ = wait.recv();
        });
        entered.recv().expect("it runs");
        let before = handle.spawn_on(1, || async {});
        let report = runtime.shutdown();
        assert_eq!(report.cores_left_behind, [1]);
        assert!(report.cores_failed.is_empty());
        assert!(!handle.cores()[1].is_alive());
        let after = handle.spawn_on(1, || async {});
        assert!(foreign_block_on(after).unwrap_err().is_cancelled());
        assert!(foreign_block_on(before).unwrap_err().is_cancelled());
        drop(go_on);
    });
}

#[test]
fn a_thread_local_of_a_core_whose_destructor_waits_for_ever() {
    struct Waits(mpsc::Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    thread_local! {
        static WAITS: RefCell<Option<Waits>> = const { RefCell::new(None) };
    }
    ends(|| {
        let (go_on, wait) = mpsc::channel();
        let runtime =
            builder().cores(2).shutdown_timeout(Duration::from_millis(10)).build().expect("rings");
        let set = runtime.handle().cores()[1].call(move || WAITS.set(Some(Waits(wait))));
        runtime.block_on(set).expect("it runs");
        drop(runtime);
        drop(go_on);
    });
}

#[test]
fn a_core_fails_while_standard_error_is_a_pipe_that_nobody_reads() {
    const NAME: &str = "failing::a_core_fails_while_standard_error_is_a_pipe_that_nobody_reads";
    if child() {
        let runtime = cores(2);
        let handle = runtime.handle();
        let waits = handle.spawn_on(1, pending::<()>);
        handle.cores()[1].break_loop("a test");
        assert!(foreign_block_on(waits).unwrap_err().is_cancelled());
        drop(runtime);
        let state = handle.cores()[1].state();
        println!("state: {state:?}");
        return;
    }
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let output = in_a_process(NAME).stderr(writer).stdout(Stdio::piped()).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("Failed(\"a test\")"), "{text}");
}

#[test]
fn cores_break_at_any_moment() {
    ends(|| {
        for round in 0..60 {
            let runtime = cores(4);
            let handle = runtime.handle();
            let breaker = handle.clone();
            let breaks = thread::spawn(move || {
                for core in &breaker.cores()[1..] {
                    core.break_loop(format!("round {round}"));
                }
            });
            let mut sent = Vec::new();
            for n in 0..60 {
                sent.push(handle.spawn_on(1 + n % 3, move || async move {
                    let next = 1 + (n + 1) % 3;
                    Handle::current().spawn_on(next, move || async move { n }).await
                }));
            }
            for answer in sent {
                let _ = foreign_block_on(answer);
            }
            breaks.join().expect("no panic");
            drop(runtime);
            let ended = |core: &ringspun::runtime::CoreHandle| core.state() != CoreState::Running;
            assert!(handle.cores().iter().all(ended));
        }
    });
}
