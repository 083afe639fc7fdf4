//! Certificates from files, for HTTP/2 and HTTP/1.1 by ALPN, read again when they have changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use ringspun::server::Stream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// How long a client has for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the handshakes of all cores use.
#[derive(Clone)]
pub(crate) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads both files.
    pub(crate) fn load(cert: &Path, key: &Path) -> io::Result<Tls> {
        let config = Arc::new(RwLock::new(read(cert, key)?));
        Ok(Tls { cert: cert.to_owned(), key: key.to_owned(), config })
    }

    /// Reads them again. If that fails, what there was stays.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let config = read(&self.cert, &self.key)?;
        *self.config.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = config;
        Ok(())
    }

    /// The handshake.
    pub(crate) async fn accept(&self, stream: Stream) -> io::Result<TokioIo<TlsStream<Stream>>> {
        let config = self.config.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = ringspun::time::timeout(HANDSHAKE, handshake).await??;
        Ok(TokioIo::new(stream))
    }
}

fn read(cert: &Path, key: &Path) -> io::Result<Arc<ServerConfig>> {
    let refuse = |file: &Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", file.display()))
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refuse(cert, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key, &error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| refuse(cert, &format!("with {}: {error}", key.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
