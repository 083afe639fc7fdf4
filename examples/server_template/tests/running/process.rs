//! Starting and ending the server; and the programs it is asked by.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// Long enough for a slow machine, short enough for a hang to be seen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    /// What it says that a browser should open.
    pub(crate) url: String,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

/// The server with a free port and these flags.
pub(crate) fn start(flags: &[&str]) -> Running {
    run(command(flags))
}

pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server-template"));
    command.args(["--addr", "127.0.0.1:0"]).args(flags).stdin(Stdio::null());
    command
}

/// The server with a listener of ours as systemd would pass it: descriptor 3, and variables that
/// name the process.
pub(crate) fn start_inheriting(listener: &TcpListener, flags: &[&str]) -> Running {
    let listener = OwnedFd::from(listener.try_clone().expect("a descriptor is free"));
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_server-template")]);
    command.args(flags).stdin(Stdio::from(listener));
    run(command)
}

pub(crate) fn run(mut command: Command) -> Running {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the server starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut stderr = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut line = String::new();
    stdout.read_line(&mut line).expect("text");
    let Some(rest) = line.strip_prefix("open ") else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("no address in {line:?}; {}", reader.join().expect("it only reads"));
    };
    let url = rest.split(' ').next().expect("at least one word").to_owned();
    Running { child, stdout, stderr: Some(reader), url }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        let rest = self.url.split("//").nth(1).expect("a URL");
        rest.trim_end_matches('/').parse().expect("an address")
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the server lives");
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let mut rest = String::new();
        let _ = self.stdout.read_to_string(&mut rest);
        let code = self.child.wait().expect("it is ours").code();
        let log = self.stderr.take().map(|reader| reader.join().expect("it only reads"));
        Ended { code, log: log.unwrap_or_default() }
    }

    /// SIGTERM, and an end by itself.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("-TERM");
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that does not wait for ever.
pub(crate) fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What a GET of its own connection gets: all of it.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

/// Whether one of these programs is here, and which; a message if not, or a failure where they are
/// required.
pub(crate) fn program(names: &[&'static str], package: &str) -> Option<&'static str> {
    let is_here = |name: &str| {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output();
        found.is_ok_and(|output| output.status.success())
    };
    let found = names.iter().copied().find(|name| is_here(name));
    if found.is_none() {
        let text = format!("{} is not here: apt-get install {package}", names[0]);
        let required = std::env::var("RINGSPUN_REQUIRE_CLIENTS");
        assert!(!required.is_ok_and(|value| value == "1"), "{text}");
        eprintln!("SKIPPED: {text}");
    }
    found
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("it is here");
    let (text, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}{error}");
    text.into_owned()
}
