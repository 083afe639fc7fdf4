//! `axum_server` with curl and a client of WebSockets.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::process::{Running, connect, example};
use crate::support::{answer, curl, curl_command, header};

fn server(arguments: &[&str]) -> (Running, String) {
    let mut command = example("axum_server");
    command.args(["--addr", "127.0.0.1:0"]).args(arguments);
    let (running, address) = Running::server(command, "axum server on ");
    (running, address)
}

fn web_socket(address: &str) -> WebSocket<TcpStream> {
    let url = format!("ws://{address}/socket");
    tungstenite::client(url, connect(address)).expect("upgraded").0
}

#[test]
fn routes_and_json() {
    let (server, address) = server(&[]);
    let url = |path: &str| format!("http://{address}{path}");
    let Some((page, status)) = answer(&[&url("/")]) else { return };
    assert!(page.contains("<h1>axum on io_uring</h1>") && status == "200", "{page}");
    let ok = |text: &str| (text.to_owned(), "200".to_owned());
    assert_eq!(answer(&[&url("/hello/r%C3%ADng")]).expect("curl"), ok("hello, r\u{ed}ng\n"));
    assert_eq!(answer(&[&url("/notes")]).expect("curl"), ok("[]"));
    for (number, text) in ["milk", "bread"].iter().enumerate() {
        let note = format!("{{\"text\": \"{text}\"}}");
        let json = ["--header", "Content-Type: application/json", "--data", &note];
        let said = curl(&[&json[..], &["--include", &url("/notes")]].concat()).expect("curl");
        let text = said.text();
        assert!(text.starts_with("HTTP/1.1 201"), "{text}");
        assert_eq!(header(&text, "location"), Some(format!("/notes/{number}")));
    }
    let both = r#"[{"text":"milk"},{"text":"bread"}]"#;
    assert_eq!(answer(&[&url("/notes")]).expect("curl"), ok(both));
    assert_eq!(answer(&[&url("/notes/1")]).expect("curl"), ok(r#"{"text":"bread"}"#));
    assert_eq!(answer(&[&url("/notes/2")]).expect("curl").1, "404");
    assert_eq!(answer(&["--request", "DELETE", &url("/notes")]).expect("curl").1, "405");
    let json = ["--header", "Content-Type: application/json", "--data", "{\"text\":"];
    assert_eq!(answer(&[&json[..], &[&url("/notes")]].concat()).expect("curl").1, "400");
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn events_come_one_by_one_and_end_with_the_server() {
    let (server, address) = server(&["--tick", "20", "--grace", "60"]);
    let url = format!("http://{address}/events");
    let Some(mut command) = curl_command(&["--no-buffer", &url]) else { return };
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    // The body has no end yet: what is read here came as it was made.
    for tick in 0..5 {
        let mut line = || lines.next().expect("open").expect("text");
        assert_eq!(line(), "event: tick");
        assert_eq!(line(), format!("data: {tick}"));
        assert_eq!(line(), "");
    }
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
    let rest = lines.map(|line| line.expect("text")).last();
    assert_eq!(rest.as_deref(), Some("|200"), "the body ended in order");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_web_socket_echoes_and_is_closed_in_order() {
    let (server, address) = server(&["--grace", "60"]);
    let (mut first, mut second) = (web_socket(&address), web_socket(&address));
    for round in 0..20_usize {
        let sent = match round % 2 {
            0 => Message::text(format!("message {round}")),
            _ => Message::binary(vec![round as u8; round * 10_000]),
        };
        first.send(sent.clone()).expect("room");
        assert!(first.read().expect("a message") == sent);
    }
    second.send(Message::Ping("there?".into())).expect("room");
    assert_eq!(second.read().expect("a message"), Message::Pong("there?".into()));
    // A client says goodbye.
    first.close(None).expect("open");
    assert!(matches!(first.read(), Ok(Message::Close(_))));
    // The server does.
    let closing = std::thread::spawn(move || {
        let said = second.read().expect("a message");
        let error = loop {
            match second.read() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        (said, error)
    });
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
    let (said, error) = closing.join().expect("no panic");
    let Message::Close(reason) = said else { panic!("not a goodbye: {said:?}") };
    assert!(reason.is_none_or(|reason| reason.code == CloseCode::Normal));
    assert!(matches!(error, tungstenite::Error::ConnectionClosed), "{error}");
}

#[test]
fn what_is_no_web_socket_is_refused() {
    let (_server, address) = server(&[]);
    let Some((_, status)) = answer(&[&format!("http://{address}/socket")]) else { return };
    assert_eq!(status, "400");
}
