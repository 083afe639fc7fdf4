//! Settings, signals and requests that are no good.

use std::io::{Read, Write};

use crate::process::{command, connect, get, run, start};

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

/// What it says when it does not start.
fn refused(flags: &[&str]) -> String {
    let output = command(flags).output().expect("it runs");
    assert!(!output.status.success(), "{flags:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A certificate and a key of another one, and the key that fits: paths in this folder.
fn certificate(folder: &std::path::Path) -> [String; 3] {
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let (one, other) = (make(), make());
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("text").to_owned()
    };
    [
        write("cert.pem", one.cert.pem()),
        write("other.pem", other.signing_key.serialize_pem()),
        write("key.pem", one.signing_key.serialize_pem()),
    ]
}

#[test]
fn a_reload_of_nothing_is_no_end() {
    let server = start(&["--cores", "1"]);
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    server.signal("-HUP");
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    let ended = server.terminate();
    assert!(ended.log.contains("no certificates"), "{}", ended.log);
}

#[test]
fn a_reload_that_fails_leaves_what_there_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, other, key] = certificate(folder.path());
    let port = free_port();
    let flags = ["--cores", "1", "--tls-addr", &port, "--tls-cert", &cert, "--tls-key", &key];
    let server = start(&flags);
    std::fs::copy(&other, &key).expect("copied");
    server.signal("-HUP");
    std::fs::write(&cert, "nonsense").expect("written");
    server.signal("-HUP");
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    let ended = server.terminate();
    assert!(ended.log.contains("stay as they were"), "{}", ended.log);
}

#[test]
fn certificates_that_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, other, key] = certificate(folder.path());
    let port = free_port();
    let tls = |cert: &str, key: &str| {
        refused(&["--tls-addr", &port, "--tls-cert", cert, "--tls-key", key])
    };
    let mismatch = tls(&cert, &other);
    assert!(mismatch.contains("cert.pem") && mismatch.contains("other.pem"), "{mismatch}");
    assert!(tls("/nowhere", &key).contains("/nowhere"));
    assert!(tls(&cert, &cert).contains("cert.pem"));
    assert!(tls(&key, &key).contains("key.pem"));
    assert!(tls("/dev/null", &key).contains("/dev/null"));
}

#[test]
fn ports_that_do_not_tell_connections_apart() {
    // The page and the metrics would be public.
    let both = ["--addr", "127.0.0.1:4711", "--admin-addr", "127.0.0.2:4711"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_server-template"));
    let output = command.args(both).output().expect("it runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("--addr and --admin-addr have the same port, 4711"), "{text}");
    assert!(refused(&["--admin-addr", "127.0.0.1:0"]).contains("needs a port"));
}

#[test]
fn nobody_reads_what_it_prints() {
    // No address can be read then: it is asked at one that is known.
    let port = free_port();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_server-template"));
    let mut child = command.args(["--addr", &port]).stdout(writer).spawn().expect("it starts");
    let address = port.parse().expect("an address");
    let begun = std::time::Instant::now();
    while connect(address).is_err() {
        assert!(begun.elapsed() < crate::process::PATIENCE, "it does not listen");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(get(address, "/hello").ends_with("hello\n"));
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn paths_that_lead_elsewhere() {
    let server = start(&["--cores", "1"]);
    for path in ["/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/hello/"] {
        assert!(get(server.address(), path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(get(server.address(), "/<script>alert(1)</script>").starts_with("HTTP/1.1 4"));
    server.terminate();
}

#[test]
fn readiness_says_no_as_soon_as_it_drains() {
    let server = run(command(&["--cores", "2"]));
    let mut stream = connect(server.address()).expect("it listens");
    let ask = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it is taken");
        let mut buf = [0; 4096];
        let count = stream.read(&mut buf).expect("an answer");
        String::from_utf8_lossy(&buf[..count]).into_owned()
    };
    assert!(ask(&mut stream).starts_with("HTTP/1.1 200 "));
    server.signal("-TERM");
    // Closed listeners are the last of what the drain does.
    while connect(server.address()).is_ok() {}
    let said = ask(&mut stream);
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("connection: close"), "{said}");
    drop(stream);
    assert_eq!(server.end().code, Some(0));
}
