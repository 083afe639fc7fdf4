//! Running the examples: as processes, as people run them.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, Once};
use std::thread::JoinHandle;
use std::time::Duration;

/// The example, built now if it is not fresh: `cargo test --test examples` alone does not.
pub(crate) fn example(name: &str) -> Command {
    static BUILT: Once = Once::new();
    let test = std::env::current_exe().expect("the test knows itself");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    BUILT.call_once(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        // With the features of the test, so that nothing is built twice.
        build.args(["build", "--quiet", "--examples"]);
        for feature in features() {
            build.args(["--features", feature]);
        }
        build.arg("--target-dir");
        build.arg(profile.parent().expect("target"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().is_ok_and(|status| status.success()), "the examples can be built");
    });
    Command::new(profile.join("examples").join(name))
}

/// But for those that are there by default.
fn features() -> impl Iterator<Item = &'static str> {
    let features = [
        ("bytes", cfg!(feature = "bytes")),
        ("chaos", cfg!(feature = "chaos")),
        ("futures", cfg!(feature = "futures")),
        ("hyper", cfg!(feature = "hyper")),
        ("tokio", cfg!(feature = "tokio")),
    ];
    features.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name)
}

/// An example that goes on until it is interrupted, and is killed when the test ends, however that
/// ends. What it says on standard error is collected.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
}

/// What an example said before it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// By itself; a signal that ends it fails the test.
    pub(crate) code: i32,
    /// On standard output, after the lines that were read before.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let stderr = child.stderr.take().expect("piped");
        let stderr = Some(std::thread::spawn(move || read_all(stderr)));
        Running { child, stdout, stderr }
    }

    /// Starts a server, and waits until it says where it listens: in its first line, behind
    /// `before` and up to a comma or a blank.
    pub(crate) fn server(command: Command, before: &str) -> (Running, String) {
        let mut running = Running::start(command);
        let line = running.line();
        let Some(rest) = line.strip_prefix(before) else {
            let ended = running.interrupt();
            panic!("no address in {line:?}; {}", ended.stderr);
        };
        let address = rest.split([',', ' ', '\n']).next().expect("at least one part");
        (running, address.to_owned())
    }

    /// The next line on standard output, with its end; empty if the program has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C, and what the program makes of it.
    pub(crate) fn interrupt(mut self) -> Ended {
        let signalled = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .expect("kill is there");
        assert!(signalled.success());
        self.end()
    }

    /// Waits until the program ends by itself.
    pub(crate) fn end(&mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("text");
        let status: ExitStatus = self.child.wait().expect("it ends");
        let stderr = self.stderr.take().map(|reader| reader.join().expect("it only reads"));
        let code = status.code().expect("by itself, not by the signal");
        Ended { code, stdout, stderr: stderr.unwrap_or_default() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut stderr: ChildStderr) -> String {
    let mut bytes = Vec::new();
    let _ = stderr.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A client of std that does not wait for ever.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("not zero");
    stream.set_write_timeout(Some(Duration::from_secs(60))).expect("not zero");
    stream
}

/// Whether there is this client, which Debian has in `package`. If it is not here it is installed;
/// if that fails too, a message says that the test is skipped. With `RINGSPUN_REQUIRE_CLIENTS=1`,
/// as the gate has it, that fails the test.
pub(crate) fn has_client(program: &str, package: &str) -> bool {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let is_here = || {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
        found.is_ok_and(|output| output.status.success())
    };
    let one_at_a_time = INSTALLING.lock();
    if is_here() {
        return true;
    }
    let installing = Command::new("apt-get")
        .args(["install", "-y", "-qq", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output();
    drop(one_at_a_time);
    if is_here() {
        return true;
    }
    let why = match installing {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let text = format!("{program} is not here, and `apt-get install {package}` failed: {why}");
    let is_required = std::env::var("RINGSPUN_REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
    assert!(!is_required, "{text}");
    eprintln!("SKIPPED: {text}");
    false
}
