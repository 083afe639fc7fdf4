//! The examples as people run them: as processes, with real clients, Ctrl-C and wrong arguments.

#[path = "examples/process.rs"]
mod process;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Output, Stdio};

use process::{Running, connect, example};

struct Server {
    running: Running,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut command = example("echo_server");
        command.args(["--addr", "127.0.0.1:0"]).args(arguments);
        let (running, address) = Running::server(command, "echo server on ");
        Server { running, address }
    }

    fn connect(&self) -> TcpStream {
        connect(&self.address)
    }

    fn interrupt(self) -> (i32, String) {
        let ended = self.running.interrupt();
        (ended.code, ended.stdout)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn echo_server_serves_many_and_ends_on_ctrl_c() {
    let server = Server::start(&[]);
    let big: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let mut clients: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        writeln!(client, "hello {number}").expect("sent");
    }
    for (number, client) in clients.iter().enumerate() {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).expect("echoed");
        assert_eq!(line, format!("hello {number}\n"));
    }
    // A megabyte both ways at once, then the end is answered by the end.
    let client = clients.pop().expect("twenty");
    let mut writer = client.try_clone().expect("a duplicate");
    let sent = big.clone();
    let sending = std::thread::spawn(move || {
        writer.write_all(&sent).expect("sent");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    let mut echoed = Vec::new();
    (&client).read_to_end(&mut echoed).expect("echoed to the end");
    sending.join().expect("the sender");
    assert!(echoed == big, "all bytes, in order");

    let (code, rest) = server.interrupt();
    assert_eq!(code, 0);
    assert!(rest.contains("20 connections"), "{rest}");
    assert!(rest.contains("19 still open"), "{rest}");
    for client in &mut clients {
        assert!(!matches!(client.read(&mut [0; 8]), Ok(1..)), "closed by the end of the server");
    }
}

#[test]
fn echo_server_turns_away_what_is_too_much() {
    let server = Server::start(&["--max-connections", "1"]);
    let mut first = server.connect();
    first.write_all(b"x").expect("sent");
    first.read_exact(&mut [0]).expect("echoed");
    let mut second = server.connect();
    assert!(!matches!(second.read(&mut [0]), Ok(1..)), "turned away");
    first.write_all(b"y").expect("sent");
    first.read_exact(&mut [0]).expect("the first goes on");
}

#[test]
fn echo_server_says_why_it_cannot_listen() {
    let server = Server::start(&[]);
    let output =
        example("echo_server").args(["--addr", &server.address]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.starts_with(&format!("error: cannot listen on {}", server.address)), "{errors}");
}

#[test]
fn z14_echo_client_sends_and_receives() {
    let server = Server::start(&[]);
    let mut client = example("echo_client");
    client.args(["--addr", &server.address]);
    let output = run_with_input(client, b"good evening\n");
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "Received: good evening\n");
    assert!(text(&output.stderr).starts_with("Input: "));
}

#[test]
fn z4_echo_client_times_out_waiting_for_input() {
    let server = Server::start(&[]);
    let mut client = example("echo_client")
        .args(["--addr", &server.address, "--timeout", "0.2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Held open, and nothing is typed.
    let stdin = client.stdin.take();
    let output = client.wait_with_output().expect("it ends");
    drop(stdin);
    assert!(output.status.success());
    let errors = text(&output.stderr);
    assert!(errors.contains("Timed out waiting for input, exiting..."), "{errors}");
}

#[test]
fn echo_client_says_that_no_server_is_there() {
    // A port that was just free.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let output = example("echo_client").args(["--addr", &address]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("Is the server running?"), "{errors}");
}

#[test]
fn benchmark_counts_its_round_trips() {
    let server = Server::start(&[]);
    let output = example("benchmark")
        .args(["--addr", &server.address, "--threads", "2", "--clients", "30"])
        .args(["--round-trips", "50"])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("3000 round trips of 512 bytes in "), "{said}");
}

#[test]
fn cat_prints_files_and_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let big: Vec<u8> = (0..300_001_u32).map(|n| (n % 251) as u8).collect();
    let path = folder.path().join("big");
    fs::write(&path, &big).expect("written");
    let empty = folder.path().join("empty");
    fs::write(&empty, b"").expect("written");
    let mut cat = example("cat");
    cat.args([&path, &empty]).arg("-");
    let output = run_with_input(cat, b"from stdin");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stdout.strip_suffix(b"from stdin") == Some(&big));
    // Into a file: writes go to its cursor.
    let target = folder.path().join("target");
    let file = fs::File::create(&target).expect("a file");
    let status = example("cat").args([&path, &path]).stdout(file).status().expect("it starts");
    assert!(status.success());
    assert!(fs::read(&target).expect("written") == [big.as_slice(), &big].concat());
}

#[test]
fn cat_names_the_file_that_is_missing() {
    let output = example("cat").arg("/nowhere/at all").output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: /nowhere/at all: No such file"));
}

#[test]
fn copy_copies_and_does_not_overwrite() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 241) as u8).collect();
    fs::write(&from, &bytes).expect("written");
    let output = example("copy").args([&from, &to]).arg("--chunk=64").output().expect("it starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("3000001 bytes in "));
    assert!(fs::read(&to).expect("copied") == bytes);

    let again = example("copy").args([&from, &to]).output().expect("it starts");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("File exists"));
    let forced = example("copy").args([&from, &to]).arg("--force").output().expect("it starts");
    assert!(forced.status.success());
}
