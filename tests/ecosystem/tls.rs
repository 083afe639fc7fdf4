//! rustls, by both of its adapters: tokio's traits and futures'.

use std::sync::Arc;

use ringspun::task::CoreBound;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::support::{block_on, noise, pair};

const MIB: usize = 1 << 20;

/// For a server called `localhost`, and a client that trusts it.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they match");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

#[test]
fn a_mebibyte_both_ways_by_tokios_traits() {
    use ringspun::io::{AsyncReadExt, AsyncWriteExt};

    block_on(async {
        let (server, client) = configs();
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(server);
            let stream = acceptor.accept(theirs).await.expect("a handshake");
            let (mut reader, mut writer) = ringspun::io::split(stream);
            let copied = ringspun::io::copy(&mut reader, &mut writer).await.expect("an echo");
            writer.shutdown().await.expect("connected");
            copied
        });
        let connector = tokio_rustls::TlsConnector::from(client);
        let stream = connector.connect(localhost(), ours).await.expect("a handshake");
        let (mut reader, mut writer) = ringspun::io::split(stream);
        let sent = noise(MIB, 1);
        let writing = async {
            writer.write_all(&sent).await.expect("room");
            writer.shutdown().await.expect("connected");
        };
        let mut received = Vec::new();
        let ((), count) = futures::join!(writing, reader.read_to_end(&mut received));
        assert_eq!(count.expect("ended in order"), MIB);
        assert!(received == sent, "other bytes came back");
        assert_eq!(echo.await.expect("no panic"), MIB as u64);
    });
}

#[test]
fn a_mebibyte_both_ways_by_futures_traits() {
    use futures::io::{AsyncReadExt, AsyncWriteExt};

    block_on(async {
        let (server, client) = configs();
        let (ours, theirs) = pair().await;
        let echo = ringspun::spawn(async move {
            let acceptor = futures_rustls::TlsAcceptor::from(server);
            let stream = acceptor.accept(CoreBound::new(theirs)).await.expect("a handshake");
            let (reader, mut writer) = stream.split();
            let copied = futures::io::copy(reader, &mut writer).await.expect("an echo");
            writer.close().await.expect("connected");
            copied
        });
        let connector = futures_rustls::TlsConnector::from(client);
        let stream = connector.connect(localhost(), ours).await.expect("a handshake");
        let (mut reader, mut writer) = stream.split();
        let sent = noise(MIB, 2);
        let writing = async {
            writer.write_all(&sent).await.expect("room");
            writer.close().await.expect("connected");
        };
        let mut received = Vec::new();
        let ((), count) = futures::join!(writing, reader.read_to_end(&mut received));
        assert_eq!(count.expect("ended in order"), MIB);
        assert!(received == sent, "other bytes came back");
        assert_eq!(echo.await.expect("no panic"), MIB as u64);
    });
}

#[test]
fn a_server_that_is_not_trusted() {
    block_on(async {
        let ((server, _), (_, stranger)) = (configs(), configs());
        let (ours, theirs) = pair().await;
        let accepting = ringspun::spawn(async move {
            tokio_rustls::TlsAcceptor::from(server).accept(theirs).await.map(drop)
        });
        let connector = tokio_rustls::TlsConnector::from(stranger);
        let error = connector.connect(localhost(), ours).await.expect_err("unknown issuer");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        accepting.await.expect("no panic").expect_err("it was told");
    });
}
