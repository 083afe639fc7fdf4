//! `tls_echo` with openssl, and with rustls on std's sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::process::{Running, connect, example};
use crate::support::{client, read_to_end, run};

/// The server, its address, the fingerprint that it says it has.
fn server(arguments: &[&str]) -> (Running, String, String) {
    let mut command = example("tls_echo");
    command.args(["--addr", "127.0.0.1:0"]).args(arguments);
    let (mut running, address) = Running::server(command, "tls echo server on ");
    let line = running.line();
    let fingerprint = line.strip_prefix("certificate sha256 ").expect("the second line");
    let fingerprint = fingerprint.trim_end().to_owned();
    (running, address, fingerprint)
}

/// openssl's own certificate and key for `localhost`, in files.
fn identity(folder: &Path) -> Option<[String; 2]> {
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let mut openssl = client("openssl", "openssl")?;
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    // Its own default is a certificate that may sign others, which is none for a server.
    openssl.args(["-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.args(["-keyout", &key, "-out", &cert]);
    let said = run(openssl, b"");
    assert_eq!(said.code, 0, "{}", said.stderr);
    Some([cert, key])
}

fn s_client(address: &str, more: &[&str]) -> Option<Command> {
    let mut openssl = client("openssl", "openssl")?;
    openssl.args(["s_client", "-connect", address, "-servername", "localhost"]).args(more);
    Some(openssl)
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn rustls(address: &str, cert: &str) -> Tls {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(cert).expect("a file") {
        roots.add(certificate.expect("a certificate")).expect("a certificate");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    StreamOwned::new(tls, connect(address))
}

#[test]
fn openssl_trusts_the_certificate_of_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some([cert, key]) = identity(folder.path()) else { return };
    let (server, address, fingerprint) = server(&["--cert", &cert, "--key", &key]);
    let mut openssl = client("openssl", "openssl").expect("it was here");
    openssl.args(["x509", "-in", &cert, "-noout", "-fingerprint", "-sha256"]);
    let told = run(openssl, b"").text();
    assert_eq!(told.trim_end().split('=').next_back(), Some(&fingerprint[..]));
    for version in ["-tls1_2", "-tls1_3"] {
        let trusting = ["-quiet", "-verify_return_error", "-CAfile", &cert, version];
        let mut openssl = s_client(&address, &trusting).expect("it was here");
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut openssl = openssl.spawn().expect("it starts");
        let mut stdin = openssl.stdin.take().expect("piped");
        let mut lines = BufReader::new(openssl.stdout.take().expect("piped")).lines();
        for round in 0..20 {
            let line = format!("line {round} {}", "x".repeat(round * 500));
            writeln!(stdin, "{line}").expect("it reads");
            assert_eq!(lines.next().expect("open").expect("text"), line);
        }
        openssl.kill().expect("it runs");
        openssl.wait().expect("it ends");
    }
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn a_mebibyte_from_std_and_the_end_within_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some([cert, key]) = identity(folder.path()) else { return };
    let (server, address, _) = server(&["--cert", &cert, "--key", &key, "--grace", "60"]);
    let mut tls = rustls(&address, &cert);
    let sent: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let mut received = vec![0; 0];
    for part in sent.chunks(40_000) {
        tls.write_all(part).expect("room");
        let mut echoed = vec![0; part.len()];
        tls.read_exact(&mut echoed).expect("echoed");
        received.extend(echoed);
    }
    assert!(received == sent, "other bytes came back");
    tls.conn.send_close_notify();
    tls.flush().expect("sent");
    // Not cut off: rustls would say so.
    assert_eq!(tls.read(&mut [0; 1]).expect("ended in order"), 0);
    // One that is idle is told as well when the server ends.
    let mut idle = rustls(&address, &cert);
    idle.write_all(b"there?").expect("room");
    idle.read_exact(&mut [0; 6]).expect("echoed");
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
    assert_eq!(idle.read(&mut [0; 1]).expect("ended in order"), 0);
}

#[test]
fn the_fingerprint_of_a_certificate_that_nobody_vouches_for() {
    let (server, address, fingerprint) = server(&["--self-signed", "ring.example"]);
    let Some(openssl) = s_client(&address, &["-showcerts"]) else { return };
    let shown = run(openssl, b"");
    let mut openssl = client("openssl", "openssl").expect("it was here");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-ext", "subjectAltName"]);
    let told = run(openssl, &shown.bytes).text();
    assert!(told.contains(&fingerprint), "{told} is not {fingerprint}");
    assert!(told.contains("DNS:ring.example"), "{told}");
    // Whoever checks refuses it.
    let checking = ["-verify_return_error", "-brief"];
    let refused = run(s_client(&address, &checking).expect("it was here"), b"");
    assert_ne!(refused.code, 0);
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn clients_that_do_not_speak_tls() {
    let (server, address, _) = server(&["--self-signed", "--handshake-timeout", "1"]);
    let mut stream = connect(&address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("connected");
    read_to_end(stream);
    let silent = connect(&address);
    assert!(read_to_end(silent).is_empty());
    let ended = server.interrupt();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
}

#[test]
fn wrong_arguments_are_named() {
    let output = example("tls_echo").output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let output = example("tls_echo")
        .args(["--cert", "/nowhere/cert.pem", "--key", "/nowhere/key.pem"])
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("error: /nowhere/cert.pem: No such file"), "{errors}");
}
