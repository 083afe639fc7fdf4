//! An echo server behind TLS, by rustls.
//!
//! ```text
//! tls_echo --self-signed localhost
//! openssl s_client -connect 127.0.0.1:3132 -quiet
//!
//! tls_echo --cert chain.pem --key key.pem --addr 0.0.0.0:3132
//! ```
//!
//! One core: rustls works in the task of its connection, between a receive and a send of the ring.
//! The fingerprint that is printed is what `openssl x509 -fingerprint -sha256` says, so a client
//! can be sure whom it talks to.

mod common;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures::future::{Either, select};
use ringspun::io::{AsyncReadExt, AsyncWriteExt};
use ringspun::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use common::{Limits, Session, Stop};

/// An echo server behind TLS on io_uring.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3132")]
    addr: SocketAddr,
    /// The certificate of the server and those that vouch for it, in a PEM file.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// The key that belongs to it, in a PEM file.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// Make a certificate for this name, which nobody vouches for.
    #[arg(long, value_name = "NAME", conflicts_with = "cert", required_unless_present = "cert")]
    #[arg(num_args = 0..=1, default_missing_value = "localhost")]
    self_signed: Option<String>,
    /// Seconds that a client has for its handshake.
    #[arg(long, default_value_t = 10)]
    handshake_timeout: u64,
    #[command(flatten)]
    limits: Limits,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

#[ringspun::main(name = "tls_echo")]
async fn main() -> ExitCode {
    common::exit(run().await)
}

async fn run() -> io::Result<()> {
    let options = Options::parse();
    let (chain, key) = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => read_identity(cert, key).await?,
        _ => make_identity(options.self_signed.as_deref().unwrap_or("localhost"))?,
    };
    let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(chain, key)?));
    let listener = TcpListener::bind(options.addr).await?;
    let address = listener.local_addr()?;
    let stop = Stop::on_signals()?;
    ringspun::println!("tls echo server on {address}   (Ctrl-C ends it)").await?;
    ringspun::println!("certificate sha256 {fingerprint}").await?;
    let patience = Duration::from_secs(options.handshake_timeout);
    common::serve(listener, stop, &options.limits, |stream, session| {
        let acceptor = acceptor.clone();
        async move {
            let peer = stream.peer_addr();
            if let Err(error) = echo(stream, acceptor, patience, session).await {
                let peer = peer.map_or_else(|_| "a client".to_owned(), |peer| peer.to_string());
                let _ = ringspun::eprintln!("{peer}: {error}").await;
            }
        }
    })
    .await
}

async fn echo(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    patience: Duration,
    session: Session,
) -> io::Result<()> {
    let mut stream = ringspun::time::timeout(patience, acceptor.accept(stream)).await??;
    let mut leave = pin!(session.closing());
    let mut buf = vec![0; 16 * 1024];
    loop {
        let received = match select(pin!(stream.read(&mut buf)), leave.as_mut()).await {
            Either::Left((received, _)) => received?,
            Either::Right(_) => 0,
        };
        if received == 0 {
            // Says so within TLS, so that the client knows that nothing was cut off.
            return stream.shutdown().await;
        }
        stream.write_all(&buf[..received]).await?;
        // rustls may hold bytes back when the socket had no room for them.
        stream.flush().await?;
    }
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> io::Result<ServerConfig> {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| io::Error::other(format!("cannot use the certificate: {error}")))
}

async fn read_identity(cert: &Path, key: &Path) -> io::Result<Identity> {
    let chain = CertificateDer::pem_slice_iter(&read(cert).await?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| about(cert, error))?;
    if chain.is_empty() {
        return Err(about(cert, "no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&read(key).await?).map_err(|error| about(key, error))?;
    Ok((chain, key))
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    ringspun::fs::read(path).await.map_err(|error| about(path, error))
}

fn about(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {what}", path.display()))
}

fn make_identity(name: &str) -> io::Result<Identity> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.der().clone()], key))
}

/// As openssl writes it: `AB:CD:...`.
fn fingerprint(certificate: &CertificateDer<'static>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let pairs = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    pairs.collect::<Vec<_>>().join(":")
}
