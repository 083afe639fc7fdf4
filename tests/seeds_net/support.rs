//! Runtimes, pairs, and tests that run themselves in a process of their own.

use std::future::Future;
use std::process::Command;
use std::time::Duration;

use ringspun::net::{TcpListener, TcpStream};
use ringspun::runtime::Runtime;

/// Longer than anything here takes on a loaded machine; what waits so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().expect("a ring").block_on(future)
}

/// Both ends, ours.
pub(crate) async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (connected, accepted) = futures::join!(TcpStream::connect(address), listener.accept());
    (connected.expect("a listener"), accepted.expect("a connection").0)
}

/// Set for a test that runs alone, in a process of its own.
const MARK: &str = "RINGSPUN_SEED_CHILD";

/// `wrapper` runs the command that is its last arguments.
pub(crate) fn child_of(test: &str, wrapper: &[&str]) -> Command {
    let own = std::env::current_exe().expect("the test knows itself");
    let mut command = match wrapper {
        [] => Command::new(own),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(own);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    command
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs `test` so, and shows what it says if it fails.
pub(crate) fn run_alone(test: &str, wrapper: &[&str]) {
    let output = child_of(test, wrapper).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{test} is the name of no test: {said}");
    print!("{said}");
}
