//! A test that needs a process of its own runs itself once more, in one.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use crate::support::wait_until;

const MARK: &str = "RINGSPUN_TEST_CHILD";

/// What it listens on comes as standard input, and goes to where it belongs.
pub(crate) const PASS_ON: &str =
    "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$ exec \"$@\"";

pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// The test `name` of this binary, as a process that `script` starts by `exec "$@"`.
pub(crate) fn command(name: &str, script: &str) -> Command {
    let test = std::env::current_exe().expect("the test knows itself");
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(test);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    command
}

/// Runs it, and fails if it fails.
pub(crate) fn run(name: &str, script: &str) {
    let output = command(name, script).stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {out}\n{said}", output.status);
}

/// Starts it with a duplicate of `listener` as standard input, for [`PASS_ON`].
pub(crate) fn with_listener(name: &str, script: &str, listener: &TcpListener) -> Child {
    let passed = OwnedFd::from(listener.try_clone().expect("a duplicate"));
    let mut command = command(name, script);
    command.stdin(Stdio::from(passed)).stdout(Stdio::null()).spawn().expect("it starts")
}

/// Waits for its end, which is a good one.
pub(crate) fn wait_for(child: &mut Child) {
    let mut status = None;
    wait_until("the process ends", || {
        status = child.try_wait().expect("a child");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

/// Sends it a signal.
pub(crate) fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &pid]).status().expect("kill is there");
    assert!(sent.success());
}
