//! Child processes.

use std::future::Future;
use std::pin::pin;
use std::process::Stdio;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use ringspun::process::{Child, Command};

use crate::support::{Ledger, PATIENCE, block_on, runtime, until};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// The letter of its state in /proc; `None`: there is no such process any more.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Waits here, without a runtime.
fn becomes(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "this never came to be: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pid(child: &Child) -> u32 {
    child.id().expect("it was not waited for")
}

#[test]
fn output_and_status() {
    let ledger = Ledger::open();
    block_on(async {
        let output = shell("echo out; echo err >&2; exit 3").output().await.expect("a shell");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        assert!(Command::new("true").status().await.expect("true").success());
        let error = Command::new("/no/such/program").status().await.expect_err("there is none");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    });
    ledger.close();
}

#[test]
fn words_in_and_out() {
    let ledger = Ledger::open();
    block_on(async {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
        let mut stdin = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        for word in ["one", "two", "three"] {
            stdin.write_all(word.as_bytes()).await.expect("it reads");
            let mut answer = vec![0; word.len()];
            stdout.read_exact(&mut answer).await.expect("it writes");
            assert_eq!(answer, word.as_bytes());
        }
        drop(stdin);
        assert_eq!(stdout.read(&mut [0; 8]).await.expect("the end"), 0);
        assert!(child.wait().await.expect("it ends").success());
    });
    ledger.close();
}

#[test]
fn a_mebibyte_on_both_pipes() {
    let ledger = Ledger::open();
    block_on(async {
        let script = "head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero; \
                      head -c 1048576 /dev/zero >&2";
        let output = shell(script).output().await.expect("a shell");
        assert!(output.status.success());
        assert_eq!((output.stdout.len(), output.stderr.len()), (1 << 20, 2 << 20));
    });
    ledger.close();
}

#[test]
fn waiting_closes_its_input() {
    block_on(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        assert!(child.wait().await.expect("it ends").success());
        assert!(child.stdin.is_none());
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        assert!(child.wait_with_output().await.expect("it ends").status.success());
    });
}

#[test]
fn waited_for_twice() {
    let ledger = Ledger::open();
    block_on(async {
        let mut child = shell("exit 7").spawn().expect("a shell");
        assert!(child.id().is_some());
        assert_eq!(child.wait().await.expect("it ends").code(), Some(7));
        assert_eq!(child.wait().await.expect("it has").code(), Some(7));
        assert_eq!(child.try_wait().expect("it has").and_then(|status| status.code()), Some(7));
        assert_eq!(child.id(), None);
        child.start_kill().expect("nothing is done");
    });
    ledger.close();
}

#[test]
fn a_dropped_wait_loses_no_status() {
    let ledger = Ledger::open();
    block_on(async {
        let mut child = shell("sleep 0.03; exit 5").spawn().expect("a shell");
        let mut rounds = 0;
        let status = loop {
            rounds += 1;
            let wait = ringspun::time::timeout(Duration::from_millis(2), child.wait());
            if let Ok(status) = wait.await {
                break status;
            }
        };
        assert_eq!(status.expect("it ends").code(), Some(5));
        assert!(rounds > 1);
        // Ended while nobody waits, after a wait that was dropped.
        let mut child = shell("sleep 0.01; exit 6").spawn().expect("a shell");
        let pid = pid(&child);
        assert!(pin!(child.wait()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        until("it ends", || state(pid) == Some('Z')).await;
        assert_eq!(child.wait().await.expect("it has ended").code(), Some(6));
        assert_eq!(state(pid), None);
    });
    ledger.close();
}

#[test]
fn ended_while_nobody_waits() {
    block_on(async {
        let mut child = shell("exit 4").spawn().expect("a shell");
        let pid = pid(&child);
        until("it ends", || state(pid) == Some('Z')).await;
        assert_eq!(child.try_wait().expect("ours").and_then(|status| status.code()), Some(4));
        assert_eq!(state(pid), None);
    });
}

#[test]
fn killed() {
    let ledger = Ledger::open();
    block_on(async {
        use std::os::unix::process::ExitStatusExt;
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep");
        assert_eq!(child.try_wait().expect("ours"), None);
        child.kill().await.expect("ours");
        let status = child.wait().await.expect("it has ended");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    });
    ledger.close();
}

#[test]
fn killed_when_dropped() {
    let ledger = Ledger::open();
    block_on(async {
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").kill_on_drop(true);
        assert!(sleep.get_kill_on_drop());
        let pid = pid(&sleep.spawn().expect("sleep"));
        until("it is killed and reaped", || state(pid).is_none()).await;
        // So it is when the future of `status` is dropped.
        let status = ringspun::time::timeout(Duration::from_millis(5), sleep.status()).await;
        assert!(status.is_err());
    });
    ledger.close();
}

#[test]
fn dropped_children_are_reaped() {
    let ledger = Ledger::open();
    block_on(async {
        let child = shell("sleep 0.03").spawn().expect("a shell");
        let running = pid(&child);
        drop(child);
        assert!(state(running).is_some(), "it goes on");
        let mut child = shell("exit 0").spawn().expect("a shell");
        let ended = pid(&child);
        assert!(child.stdin.take().is_none());
        until("it ends", || state(ended) == Some('Z')).await;
        drop(child);
        assert_eq!(state(ended), None);
        until("it ends and is reaped", || state(running).is_none()).await;
    });
    ledger.close();
}

#[test]
fn outlived_the_runtime() {
    let ledger = Ledger::open();
    let before = Instant::now();
    let (left, held) = block_on(async {
        let child = shell("sleep 0.3").spawn().expect("a shell");
        let left = pid(&child);
        drop(child);
        // And one that is dropped where there is no runtime.
        (left, shell("sleep 0.3").spawn().expect("a shell"))
    });
    assert!(before.elapsed() < Duration::from_secs(5), "no runtime waits for what was dropped");
    let pids = [left, pid(&held)];
    drop(held);
    for pid in pids {
        becomes("it ends", || matches!(state(pid), Some('Z') | None));
    }
    // The next child sees to them.
    block_on(async { Command::new("true").status().await.expect("true") });
    for pid in pids {
        assert_eq!(state(pid), None, "it is reaped");
    }
    ledger.close();
}

#[test]
fn a_dropped_child_keeps_no_core_busy() {
    let runtime = runtime();
    let pid = runtime.block_on(async {
        let mut sleep = Command::new("sleep");
        let mut child = sleep.arg("1000").kill_on_drop(true).spawn().expect("sleep");
        let other = Command::new("sleep").arg("1").spawn().expect("sleep");
        let pid = pid(&other);
        drop(other);
        assert!(pin!(child.wait()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        pid
    });
    runtime.run_until_idle().expect("a ring");
    assert_ne!(state(pid), None, "it was not waited for");
}

#[test]
fn fifty_at_once() {
    let ledger = Ledger::open();
    block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                ringspun::spawn(async move {
                    let mut command = shell(&format!("sleep 0.0{}; exit {number}", number % 5));
                    command.status().await.expect("a shell").code()
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.expect("no panic"), Some(number as i32));
        }
    });
    ledger.close();
}

#[test]
fn environment_and_folder() {
    block_on(async {
        let mut command = shell("echo $GREETING-$GONE; pwd");
        command.env("GREETING", "hi").env("GONE", "no").env_remove("GONE").current_dir("/");
        command.stdin(Stdio::null());
        assert_eq!(command.output().await.expect("a shell").stdout, b"hi-\n/\n");
        let std = command.into_std();
        assert_eq!(std.get_program(), "sh");
        assert!(Command::from(std).output().await.expect("a shell").status.success());
        let mut named = shell("echo $0");
        named.arg0("other").process_group(0);
        assert!(named.output().await.expect("a shell").status.success());
    });
}

#[test]
fn taken_over_from_std() {
    block_on(async {
        let spawned = ringspun::spawn_blocking(|| {
            std::process::Command::new("echo").arg("std").stdout(Stdio::piped()).spawn()
        });
        let child = spawned.await.expect("no panic").expect("echo");
        let output = Child::from_std(child).expect("pipes").wait_with_output().await;
        assert_eq!(output.expect("it ends").stdout, b"std\n");
    });
}
