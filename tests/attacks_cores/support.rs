//! What the attacks stand on.

use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use ringspun::runtime::{Builder, Runtime};

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `attack` on a thread of its own, so that one that hangs fails.
#[track_caller]
pub(crate) fn ends<R: Send + 'static>(attack: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let answer = attack();
        let _ = done.send(());
        answer
    });
    if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("this hangs");
    }
    thread.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

pub(crate) fn builder() -> Builder {
    Builder::new().entries(8)
}

pub(crate) fn cores(count: usize) -> Runtime {
    builder().cores(count).build().expect("rings")
}

pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Runs the test of this name in a process of its own, where it finds `child()` true.
pub(crate) fn in_a_process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("ATTACKS_CHILD", "1");
    command
}

pub(crate) fn child() -> bool {
    std::env::var_os("ATTACKS_CHILD").is_some()
}

pub(crate) fn allowed_here() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:"));
    line.expect("a line").trim_start_matches("Cpus_allowed_list:").trim().to_owned()
}

pub(crate) fn several_cpus() -> bool {
    thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1)
}

pub(crate) struct CountDrop(pub(crate) Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A payload, a value: whatever panics when it goes.
pub(crate) struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("in a destructor");
        }
    }
}

pub(crate) struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}
