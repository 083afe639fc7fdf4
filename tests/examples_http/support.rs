//! Clients of HTTP.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::process::has_client;

/// A client to be run; None if it is not here.
pub(crate) fn client(program: &str, package: &str) -> Option<Command> {
    has_client(program, package).then(|| Command::new(program))
}

/// What a client said, in full.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body that curl printed in front of its `--write-out`.
    pub(crate) fn body_and_status(&self) -> (&[u8], &str) {
        let at = self.bytes.iter().rposition(|byte| *byte == b'|').expect("written out");
        let status = std::str::from_utf8(&self.bytes[at + 1..]).expect("text");
        (&self.bytes[..at], status)
    }
}

/// Gives `input` to a client and waits until it ends, without fail.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        // A client that has heard enough closes its input.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("it ends")
    });
    Said {
        code: output.status.code().expect("no signal"),
        bytes: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// curl that fails after a minute, says nothing of its progress, and writes `|` and the status
/// behind the body. None if it is not here.
pub(crate) fn curl(arguments: &[&str]) -> Option<Said> {
    let said = run(curl_command(arguments)?, b"");
    assert_eq!(said.code, 0, "curl {arguments:?}: {}", said.stderr);
    Some(said)
}

pub(crate) fn curl_command(arguments: &[&str]) -> Option<Command> {
    let mut command = client("curl", "curl")?;
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
    command.args(["--write-out", "|%{http_code}"]).args(arguments);
    Some(command)
}

/// Body and status as text.
pub(crate) fn answer(arguments: &[&str]) -> Option<(String, String)> {
    let said = curl(arguments)?;
    let (body, status) = said.body_and_status();
    Some((String::from_utf8_lossy(body).into_owned(), status.to_owned()))
}

/// The line of a report that begins so, without that.
pub(crate) fn after<'report>(report: &'report str, start: &str) -> &'report str {
    let mut lines = report.lines().map(str::trim_start);
    let line = lines.find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no line begins with {start:?} in:\n{report}"))
}

/// The value of a header in the output of `curl --include` or `--head`.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

/// What a server sends to a connection on which nothing is asked, up to its end.
pub(crate) fn read_to_end(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server closes it");
    bytes
}
