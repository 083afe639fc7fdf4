//! The examples of the network, with clients and servers of std.

#[path = "examples/process.rs"]
mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use process::{Running, connect, example};

/// Serves each connection by a thread, as long as the test process lives.
fn serve(connection: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = connection.clone();
            thread::spawn(move || connection(stream));
        }
    });
    address
}

fn proxy(to: &str, arguments: &[&str]) -> (Running, String) {
    let mut command = example("proxy");
    command.args(["--listen", "127.0.0.1:0", "--to", to]).args(arguments);
    Running::server(command, "proxy on ")
}

/// Reads all, and answers only then: works through a proxy only if it passes the end on.
fn answer_at_the_end(mut stream: TcpStream) {
    let mut request = Vec::new();
    stream.read_to_end(&mut request).expect("the end comes");
    request.reverse();
    stream.write_all(&request).expect("the client reads");
}

fn passes_bytes_and_ends(arguments: &[&str]) {
    let target = serve(answer_at_the_end);
    let (mut running, address) = proxy(&target.to_string(), arguments);
    let clients: Vec<_> = (0..20_usize)
        .map(|number| {
            let address = address.clone();
            thread::spawn(move || {
                let mut stream = connect(&address);
                let mut request: Vec<u8> =
                    (0..number * 30_000).map(|at| (at * 7 + number) as u8).collect();
                stream.write_all(&request).expect("the proxy reads");
                stream.shutdown(Shutdown::Write).expect("connected");
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).expect("the end comes back");
                request.reverse();
                assert!(answer == request, "{number}: all bytes, in order");
            })
        })
        .collect();
    for client in clients {
        client.join().expect("answered");
    }
    // A line for each connection, with what it has moved.
    let mut counts: Vec<String> = (0..20)
        .map(|_| running.line().split_once(": ").expect("a peer").1.trim_end().to_owned())
        .collect();
    counts.sort();
    let mut expected: Vec<String> = (0..20_usize)
        .map(|number| number * 30_000)
        .map(|bytes| format!("{bytes} bytes there, {bytes} bytes back"))
        .collect();
    expected.sort();
    assert_eq!(counts, expected);
    let ended = running.interrupt();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("20 connections; 0 still open"), "{}", ended.stdout);
}

#[test]
fn proxy_passes_bytes_and_ends_by_splice() {
    passes_bytes_and_ends(&[]);
}

#[test]
fn proxy_passes_bytes_and_ends_by_copy() {
    passes_bytes_and_ends(&["--copy"]);
}

/// More than all buffers in between hold, both ways at once.
#[test]
fn proxy_moves_megabytes_both_ways() {
    const LEN: usize = 20 << 20;
    for arguments in [&[][..], &["--copy"]] {
        let target = serve(|mut stream: TcpStream| {
            let mut buf = vec![0; 100_000];
            while let Ok(count @ 1..) = stream.read(&mut buf) {
                stream.write_all(&buf[..count]).expect("the client reads");
            }
        });
        let (_running, address) = proxy(&target.to_string(), arguments);
        let mut stream = connect(&address);
        let mut writer = stream.try_clone().expect("a duplicate");
        let sent: Vec<u8> = (0..LEN).map(|at| (at * 31 + at / 65_521) as u8).collect();
        let sending = thread::spawn(move || {
            writer.write_all(&sent).expect("the proxy reads");
            writer.shutdown(Shutdown::Write).expect("connected");
            sent
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("the end comes back");
        assert!(sending.join().expect("sent") == received, "all bytes, in order");
    }
}

/// One that waits, and one whose server is not there, do not disturb the others.
#[test]
fn proxy_says_what_went_wrong_and_goes_on() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = free.local_addr().expect("bound").to_string();
    drop(free);
    let (mut running, address) = proxy(&nobody, &[]);
    for _ in 0..2 {
        let mut stream = connect(&address);
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "closed");
        let line = running.line();
        assert!(line.contains(&format!("cannot connect to {nobody}: ")), "{line}");
        assert!(line.contains("0 bytes there, 0 bytes back"), "{line}");
    }
    let (mut running, address) = proxy(&serve(answer_at_the_end).to_string(), &[]);
    let mut waiting = connect(&address);
    waiting.write_all(b"and").expect("the proxy reads");
    let mut other = connect(&address);
    other.write_all(b"abc").expect("the proxy reads");
    other.shutdown(Shutdown::Write).expect("connected");
    let mut answer = String::new();
    other.read_to_string(&mut answer).expect("text");
    assert_eq!(answer, "cba");
    let line = running.line();
    assert!(line.ends_with(": 3 bytes there, 3 bytes back\n"), "{line}");
    let ended = running.interrupt();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("2 connections; 1 still open"), "{}", ended.stdout);
    assert!(!matches!(waiting.read(&mut [0]), Ok(1..)), "closed by the end of the proxy");
}

const SLOW: Duration = Duration::from_millis(1500);

/// A server by the book, as far as these tests need it: the path says what it does.
fn scripted(stream: TcpStream) {
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) && line.trim_end() != "" {
        request += &line;
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let say = |text: &str| {
        // Whoever has gone does not hear it.
        let _ = (&stream).write_all(text.as_bytes());
    };
    match path.as_str() {
        "/ok" => say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellomore than it has said"),
        "/slow" => {
            thread::sleep(SLOW);
            say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow");
        }
        "/chunked" => {
            say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for part in ["3;a=b\r\nabc\r", "\n0000", "a\r\n0123456789\r\n", "0\r\n\r\n"] {
                say(part);
                thread::sleep(Duration::from_millis(20));
            }
            // It keeps the connection open, for all that it was asked to close.
            let _ = (&stream).read(&mut [0]);
        }
        "/end" => say("HTTP/1.0 200 OK\r\n\r\nall up to the end"),
        "/short" => say("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nnot all"),
        "/garbage" => say("this is not HTTP\r\n\r\n"),
        "/never" => thread::sleep(Duration::from_secs(60)),
        "/404" => say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        // Closing with bytes that were not read is a reset.
        "/reset" => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("TCP"),
        _ => say("HTTP/1.1 500 Oops\r\n\r\n"),
    }
}

/// The paths that succeeded, sorted; what was said on standard error; and how long it took.
fn retrieve(paths: &[&str], deadline: &str) -> (Vec<String>, String, Duration) {
    let server = serve(scripted);
    let mut command = example("retrieve_urls");
    command.args(["--deadline", deadline]);
    command.args(paths.iter().map(|path| format!("http://{server}{path}")));
    let started = Instant::now();
    let output = command.output().expect("it starts");
    let time = started.elapsed();
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).expect("text");
    let mut kept: Vec<String> = said
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(line.starts_with("200 ") && words[2] == "bytes" && words[4] == "ms", "{line}");
            let path = words[5].split_at(format!("http://{server}").len()).1;
            format!("{path} {}", words[1])
        })
        .collect();
    kept.sort();
    (kept, errors, time)
}

#[test]
fn n5_retrieve_urls_keeps_what_succeeds_and_takes_as_long_as_the_slowest() {
    let (kept, errors, time) =
        retrieve(&["/ok", "/slow", "/reset", "/404", "/slow", "/slow", "/slow", "/slow"], "60");
    assert_eq!(kept, ["/ok 5", "/slow 4", "/slow 4", "/slow 4", "/slow 4", "/slow 4"]);
    assert!(errors.contains("/404: status 404"), "{errors}");
    assert!(errors.contains("/reset: "), "{errors}");
    assert!(errors.contains("6 of 8 in "), "{errors}");
    assert!(time >= SLOW);
    assert!(time < 4 * SLOW, "one after the other would be five times as long: {time:?}");
}

#[test]
fn n6_retrieve_urls_reads_all_bytes_however_their_end_is_told() {
    let (kept, errors, _) = retrieve(&["/ok", "/chunked", "/end", "/short", "/garbage"], "60");
    assert_eq!(kept, ["/chunked 13", "/end 17", "/ok 5"]);
    assert!(errors.contains("/short: the server has closed in the middle"), "{errors}");
    assert!(errors.contains("/garbage: "), "{errors}");
}

#[test]
fn retrieve_urls_has_a_deadline_for_each() {
    let (kept, errors, time) = retrieve(&["/never", "/ok", "/never"], "0.5");
    assert_eq!(kept, ["/ok 5"]);
    assert_eq!(errors.matches("/never: ").count(), 2, "{errors}");
    assert!(time >= Duration::from_millis(500));
    assert!(time < Duration::from_secs(30), "{time:?}");
}

#[test]
fn retrieve_urls_says_what_is_no_url() {
    let output = example("retrieve_urls").arg("https://example.org/").output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("https://example.org/: it is not an http:// URL"), "{errors}");
    assert!(errors.contains("0 of 1"), "{errors}");
}

#[test]
fn retrieve_urls_ends_on_ctrl_c() {
    let server = serve(scripted);
    let mut command = example("retrieve_urls");
    command.args([format!("http://{server}/ok"), format!("http://{server}/never")]);
    let mut running = Running::start(command);
    assert!(running.line().ends_with("/ok\n"));
    let ended = running.interrupt();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
}

fn udp_client(server: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("not zero");
    socket
}

fn udp_echo() -> (Running, String) {
    let mut command = example("udp_echo");
    command.args(["--listen", "127.0.0.1:0"]);
    Running::server(command, "udp echo on ")
}

#[test]
fn udp_echo_answers_each_datagram() {
    let (running, address) = udp_echo();
    let socket = udp_client(&address);
    let mut buf = vec![0; 65_536];
    let mut bytes = 0;
    for number in 0..1000_usize {
        let len = match number {
            0 => 65_507,
            number => number * 37 % 9000 * (number % 5).min(1),
        };
        let datagram: Vec<u8> = (0..len).map(|at| (at + number) as u8).collect();
        socket.send(&datagram).expect("sent");
        let count = socket.recv(&mut buf).expect("answered");
        assert!(buf[..count] == datagram, "{number}: {count} bytes instead of {len}");
        bytes += len;
    }
    // Several at once, from several.
    let clients: Vec<UdpSocket> = (0..8).map(|_| udp_client(&address)).collect();
    for client in &clients {
        for number in 0..8_u8 {
            client.send(&[number; 8]).expect("sent");
        }
    }
    for client in &clients {
        for number in 0..8_u8 {
            let count = client.recv(&mut buf).expect("answered");
            assert_eq!(buf[..count], [number; 8]);
        }
    }
    let ended = running.interrupt();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let expected = format!("{} datagrams, {} bytes echoed", 1000 + 64, bytes + 64 * 8);
    assert!(ended.stdout.contains(&expected), "{}", ended.stdout);
}

#[test]
fn udp_echo_client_counts_answers_and_losses() {
    let (_running, address) = udp_echo();
    let ask = |to: &str, more: &[&str]| {
        let mut command = example("udp_echo");
        let output = command.args(["--to", to]).args(more).output().expect("it starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let said = ask(&address, &["--count", "200", "--size", "0"]);
    assert!(said.starts_with("200 answers, 0 lost"), "{said}");
    // One that hears and does not answer.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (silent, address.to_string())).expect("bound");
    let said = ask(&silent.1, &["--count", "2", "--patience", "0.1"]);
    assert!(said.starts_with("0 answers, 2 lost"), "{said}");
}

#[test]
fn fanout_takes_as_long_as_one_answer() {
    let mut command = example("slow_server");
    command.args(["--addr", "127.0.0.1:0", "--delay", "0.5"]);
    let (server, address) = Running::server(command, "slow server on ");
    let output = example("fanout")
        .args(["--addr", &address, "--tcp", "50", "--udp", "50"])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("100 answers in "), "{said}");
    let ended = server.interrupt();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // All were there before the first was answered.
    assert!(ended.stdout.contains("at most 100 requests waited"), "{}", ended.stdout);
}
