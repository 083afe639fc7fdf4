//! curl and h2load, plain and by TLS; the routes.

use std::process::Command;

use crate::process::{command, get, output, program, run, start};

#[test]
fn the_routes() {
    let server = start(&["--cores", "1"]);
    let address = server.address();
    let body = |path: &str| {
        let answer = get(address, path);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    };
    for (path, expected) in [("/hello", "hello\n"), ("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let (head, body) = body(path);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, expected);
    }
    let (head, page) = body("/");
    assert!(head.contains("text/html"), "{head}");
    assert!(page.contains("<h1>ringspun</h1>"));
    let (_, metrics) = body("/metrics");
    assert!(metrics.contains("\nhttp_requests_total{core=\"0\"} 5\n"), "{metrics}");
    let (_, json) = body("/metrics.json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["cores"][0]["requests"], 6);
    assert!(json["cores"][0]["connections"].as_u64() >= Some(1), "{json}");
    assert!(json["cores"][0]["accepted"].as_u64() >= Some(6), "{json}");
    assert_eq!(json["draining"], false);
    assert!(body("/nowhere").0.starts_with("HTTP/1.1 404 "));
    server.terminate();
}

#[test]
fn curl_posts_and_reads_the_head() {
    let Some(curl) = program(&["curl"], "curl") else { return };
    let server = start(&["--cores", "2", "--max-body-bytes", "1000"]);
    let ask = |path: &str, arguments: &[&str]| {
        let url = format!("{}{path}", server.url);
        output(curl, &[&["--silent", "--max-time", "60", &url], arguments].concat())
    };
    assert_eq!(ask("echo", &["--data-binary", "what was sent"]), "what was sent");
    assert_eq!(ask("echo", &["--http2-prior-knowledge", "--data", "by two"]), "by two");
    assert!(ask("hello", &["--head"]).starts_with("HTTP/1.1 200 "));
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(ask("hello", &[&code[..], &["--data", "x"]].concat()), "405");
    let long = "x".repeat(1001);
    assert_eq!(ask("echo", &[&code[..], &["--data", &long]].concat()), "413");
    server.terminate();
}

#[test]
fn h2load_by_http1_and_http2_without_a_failure() {
    let Some(h2load) = program(&["h2load"], "nghttp2-client") else { return };
    let server = start(&["--cores", "2"]);
    let url = format!("{}hello", server.url);
    for version in [&["--h1"][..], &["-m", "10"]] {
        let arguments = [&["-n", "5000", "-c", "50", "-t", "2", &url], version].concat();
        let text = output(h2load, &arguments);
        assert!(text.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    }
    server.terminate();
}

#[test]
fn tls_by_alpn_and_a_new_certificate_at_sighup() {
    let Some(curl) = program(&["curl"], "curl") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        std::fs::write(&cert, made.cert.pem()).expect("written");
    };
    renew();
    // The port has to be known before.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let tls = format!("127.0.0.1:{port}");
    let flags = ["--cores", "2", "--tls-addr", &tls, "--tls-cert", &cert, "--tls-key", &key];
    let server = run(command(&flags));
    let url = format!("https://localhost:{port}/hello");
    let ask = |ca: &str, version: &str| {
        let format = ["--write-out", "%{http_version}", "--max-time", "60", "--silent"];
        let arguments = ["--cacert", ca, version, "--resolve"];
        let place = format!("localhost:{port}:127.0.0.1");
        let output = Command::new(curl).args(format).args(arguments).args([&place, &url]).output();
        String::from_utf8_lossy(&output.expect("it is here").stdout).into_owned()
    };
    assert_eq!(ask(&cert, "--http2"), "hello\n2");
    assert_eq!(ask(&cert, "--http1.1"), "hello\n1.1");
    let old = file("old.pem");
    std::fs::copy(&cert, &old).expect("copied");
    renew();
    assert_eq!(ask(&old, "--http2"), "hello\n2");
    server.signal("-HUP");
    // The signal is taken soon, not at once.
    while ask(&cert, "--http2") != "hello\n2" {}
    assert_ne!(ask(&old, "--http2"), "hello\n2");
    server.terminate();
}

#[test]
fn the_page_is_at_the_address_of_the_administrator_only() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let admin = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let public = port.local_addr().expect("bound");
    drop(port);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_server-template"));
    let public_text = public.to_string();
    command.args(["--cores", "1", "--addr", &public_text, "--admin-addr", &admin]);
    let server = run(command);
    assert_eq!(server.address().to_string(), admin);
    assert!(get(server.address(), "/metrics").starts_with("HTTP/1.1 200 "));
    assert!(get(public, "/hello").starts_with("HTTP/1.1 200 "));
    assert!(get(public, "/metrics").starts_with("HTTP/1.1 404 "));
    server.terminate();
}

#[test]
fn the_log_as_json_has_each_request_at_debug() {
    let flags = ["--cores", "1", "--log-format", "json", "--log-level", "server_template=debug"];
    let server = start(&flags);
    assert!(get(server.address(), "/hello").ends_with("hello\n"));
    let ended = server.terminate();
    let lines: Vec<serde_json::Value> =
        ended.log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().any(|line| line["path"] == "/hello" && line["status"] == 200));
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_in_words() {
    for flags in [&["--cores", "none"][..], &["--tls-addr", "127.0.0.1:1"], &["--log-level", "a=b"]]
    {
        let output = command(flags).output().expect("it starts");
        assert!(!output.status.success(), "{flags:?}");
        assert!(!output.stderr.is_empty());
    }
}
