//! A real TLS 1.3 client and server, each on a fiber: what programs call most deeply.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// Of `localhost`, signed by itself, until 2126.
const CERTIFICATE: &[u8] = include_bytes!("localhost.crt");
const KEY: &[u8] = include_bytes!("localhost.key");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from(CERTIFICATE)
}

fn server() -> ServerConnection {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate()], PrivatePkcs8KeyDer::from(KEY).into());
    ServerConnection::new(Arc::new(config.unwrap())).unwrap()
}

fn client() -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

/// A TLS client, not optimised in a debug build, fits the default stack of a fiber on bare metal, which
/// is half of that in a process: handshake, certificate, 100 KB each way, and the end.
#[test]
fn a_tls_client_fits_a_default_stack() {
    let world = world();
    world.fibers.set_main_stack_size(BARE);
    let (spawn, done) = world.spawner();
    let ended = world.run(move |net| {
        let listener = listener(net);
        let serve = move || {
            let (flow, _) = listener.accept().unwrap();
            let mut tls = StreamOwned::new(server(), flow);
            let mut all = vec![];
            tls.read_to_end(&mut all).unwrap();
            tls.write_all(&all).unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        };
        spawn("server", Box::new(serve));
        let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let mut tls = StreamOwned::new(client(), TcpStream::connect(net, "127.0.0.1:7000").unwrap());
        tls.write_all(&sent).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        let mut got = vec![];
        tls.read_to_end(&mut got).unwrap();
        assert_eq!(got, sent);
        assert!(tls.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3));
    });
    assert_eq!((ended, done.recv().as_deref()), (Ended::Returned, Ok("server")));
}
