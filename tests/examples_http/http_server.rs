//! `http_server` with curl, nghttp, h2load and wrk.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::process::{Running, connect, example};
use crate::support::{after, answer, client, curl, curl_command, header, read_to_end, run};

fn server(arguments: &[&str]) -> (Running, String) {
    let mut command = example("http_server");
    command.args(["--addr", "127.0.0.1:0"]).args(arguments);
    let (running, address) = Running::server(command, "http server on ");
    (running, format!("http://{address}"))
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

#[test]
fn pages_by_both_versions() {
    let (server, url) = server(&[]);
    for version in VERSIONS {
        let ask = |path: &str| answer(&[version, &format!("{url}{path}")]);
        let Some((page, status)) = ask("/") else { return };
        assert!(page.contains("<h1>It spins</h1>"), "{page}");
        assert_eq!(status, "200");
        assert_eq!(ask("/nowhere").expect("curl").1, "404");
        assert_eq!(ask("/echo").expect("curl").1, "405");
        assert_eq!(ask("/slow?ms=20").expect("curl").0, "slept 20 ms\n");
        let expected = (0..5).map(|line| format!("line {line}\n")).collect::<String>();
        assert_eq!(ask("/stream?lines=5").expect("curl").0, expected);
        let big = format!("{url}/big?bytes=123456789012");
        let (head, _) = answer(&[version, "--head", &big]).expect("curl");
        assert_eq!(header(&head, "content-length").as_deref(), Some("123456789012"));
    }
    let said = curl(&["--http1.1", "--include", &format!("{url}/stream")]).expect("curl");
    assert!(said.text().to_lowercase().contains("transfer-encoding: chunked"), "{}", said.text());
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn large_bodies_both_ways() {
    let (server, url) = server(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("body");
    let sent: Vec<u8> = (0..20_000_003_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&path, &sent).expect("written");
    let data = format!("@{}", path.display());
    for version in VERSIONS {
        let echo = format!("{url}/echo");
        let Some(said) = curl(&[version, "--data-binary", &data, &echo]) else { return };
        let (body, status) = said.body_and_status();
        assert_eq!(status, "200");
        assert!(body == sent, "{version}: other bytes came back, {} of them", body.len());
        let said = curl(&[version, &format!("{url}/big?bytes=50000001")]).expect("curl");
        assert_eq!(said.body_and_status().0.len(), 50_000_001);
    }
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", &data];
    let said = curl(&[&chunked[..], &[&format!("{url}/echo")]].concat()).expect("curl");
    assert!(said.body_and_status().0 == sent);
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn a_connection_is_kept_for_several_requests() {
    let (_server, url) = server(&[]);
    let urls = ["/", "/slow?ms=1", "/stream?lines=1"].map(|path| format!("{url}{path}"));
    // HTTP/2 is for nghttp: Debian's curl 7.88 cannot use such a connection again (curl #10643).
    let mut arguments = vec!["--http1.1", "--write-out", "<%{num_connects}>"];
    arguments.extend(urls.iter().map(String::as_str));
    let Some(said) = curl(&arguments) else { return };
    let text = said.text();
    assert_eq!(text.matches("<1>").count(), 1, "one connection: {text}");
    assert_eq!(text.matches("<0>").count(), 2, "one connection: {text}");
}

#[test]
fn nghttp_asks_for_several_at_once() {
    let (_server, url) = server(&[]);
    let Some(mut nghttp) = client("nghttp", "nghttp2-client") else { return };
    nghttp.args(["--stat", "--timeout=60s", &format!("{url}/slow?ms=30")]);
    nghttp.args([format!("{url}/"), format!("{url}/stream?lines=3")]);
    let said = run(nghttp, b"");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let text = said.text();
    for part in ["slept 30 ms", "It spins", "line 2"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(text.lines().filter(|line| line.contains(" 200 ")).count(), 3, "{text}");
}

#[test]
fn h2load_sees_every_request_succeed() {
    let (server, url) = server(&[]);
    for (version, path) in [("h2c", "/"), ("http/1.1", "/"), ("h2c", "/big?bytes=100000")] {
        let Some(mut h2load) = client("h2load", "nghttp2-client") else { return };
        h2load.args(["--requests=4000", "--clients=20", "--max-concurrent-streams=10"]);
        h2load.args(["--no-tls-proto", version, &format!("{url}{path}")]);
        let said = run(h2load, b"");
        assert_eq!(said.code, 0, "{}", said.stderr);
        let text = said.text();
        let expected = " 4000 total, 4000 started, 4000 done, 4000 succeeded, 0 failed, 0 errored, \
                        0 timeout";
        assert_eq!(after(&text, "requests:"), expected, "{version} {path}");
        assert_eq!(after(&text, "status codes:"), " 4000 2xx, 0 3xx, 0 4xx, 0 5xx");
    }
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn wrk_sees_no_error() {
    let (server, url) = server(&[]);
    let Some(mut wrk) = client("wrk", "wrk") else { return };
    wrk.args(["--threads=1", "--connections=50", "--duration=1s", "--timeout=30s", &url]);
    let said = run(wrk, b"");
    let text = said.text();
    assert_eq!(said.code, 0, "{text} {}", said.stderr);
    // wrk mentions errors only if there were any.
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let sent = text.lines().find(|line| line.contains(" requests in ")).expect("a sum");
    let count = sent.split_whitespace().next().expect("a number").parse::<u64>();
    assert!(count.expect("a number") > 0, "{text}");
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn clients_that_do_not_ask_are_given_up() {
    let (_server, url) = server(&["--header-timeout", "1"]);
    let address = url.strip_prefix("http://").expect("a URL");
    // Nothing; not enough to know which HTTP it is; half a head.
    for begun in ["", "P", "GET / HTTP/1.1\r\nHost: he"] {
        let mut stream = connect(address);
        stream.write_all(begun.as_bytes()).expect("sent");
        let said = String::from_utf8(read_to_end(stream)).expect("text");
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
}

#[test]
fn requests_finish_after_ctrl_c() {
    let (server, url) = server(&["--grace", "60"]);
    for version in VERSIONS {
        if curl(&[version, &format!("{url}/")]).is_none() {
            return;
        }
    }
    // One that is kept alive and asks nothing does not hold the server up.
    let mut idle = connect(url.strip_prefix("http://").expect("a URL"));
    idle.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
    assert!(idle.read(&mut [0; 4096]).expect("answered") > 0);
    let asking = VERSIONS.map(|version| {
        let said = ["--no-buffer", version, &format!("{url}/stream?lines=100")];
        let mut command = curl_command(&said).expect("curl");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        // The request is there when the first byte of its answer is.
        let mut first = [0; 7];
        child.stdout.as_mut().expect("piped").read_exact(&mut first).expect("a line");
        assert_eq!(&first, b"line 0\n");
        child
    });
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("no more connections; 3 are open"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
    for child in asking {
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.ends_with("line 99\n|200"), "{text}");
    }
}

#[test]
fn a_request_that_takes_too_long_is_cut_off() {
    let (server, url) = server(&["--grace", "0"]);
    let mut stream = connect(url.strip_prefix("http://").expect("a URL"));
    stream.write_all(b"GET /stream?lines=100000 HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
    assert!(stream.read(&mut [0; 10]).expect("begun") > 0);
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("1 still open are cut off"), "{}", ended.stdout);
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let (mut server, url) = server(&["--grace", "3600"]);
    let mut stream = connect(url.strip_prefix("http://").expect("a URL"));
    stream.write_all(b"GET /stream?lines=1000000 HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
    assert!(stream.read(&mut [0; 10]).expect("begun") > 0);
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("a kill").success());
    // It says so when it has seen the first one.
    while !server.line().starts_with("no more connections") {}
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(ended.stdout.contains("1 still open are cut off"), "{}", ended.stdout);
}
