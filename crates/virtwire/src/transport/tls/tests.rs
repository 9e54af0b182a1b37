//! A session with a server of rustls's on a port of the loopback.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use virtwire_testbed::Authority;

/// A session, and what the other end's thread gives in the end.
async fn session<T: Send + 'static>(
    server: impl FnOnce(ServerConnection, std::net::TcpStream) -> T + Send + 'static,
) -> (Tls, JoinHandle<T>) {
    let authority = Authority::new("authority");
    let certificate = authority.server(&["localhost"]);
    let provider = Arc::new(rustls_graviola::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    // A client that leaves without having read them would cut off what it wrote.
    config.send_tls13_tickets = 0;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let ours = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        while session.is_handshaking() {
            while session.wants_write() {
                session.write_tls(&mut socket).unwrap();
            }
            if session.is_handshaking() {
                assert!(take_record(&mut session, &mut socket));
            }
        }
        server(session, socket)
    });
    let socket = TcpStream::connect(to).await.unwrap();
    let session = ClientConnection::new(Arc::new(ours), "localhost".try_into().unwrap()).unwrap();
    (Tls::connect(socket, session).await.unwrap(), thread)
}

/// The lengths of the records that carry data, until the client takes leave.
fn records(mut session: ServerConnection, mut socket: std::net::TcpStream) -> Vec<usize> {
    let mut lengths = Vec::new();
    while take_record(&mut session, &mut socket) {
        let mut data = Vec::new();
        match session.reader().read_to_end(&mut data) {
            Ok(_) => return lengths,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if !data.is_empty() {
            lengths.push(data.len());
        }
    }
    lengths
}

/// Takes in one record, for rustls decrypts all that it reads at once; gives whether there was one.
fn take_record(session: &mut ServerConnection, socket: &mut std::net::TcpStream) -> bool {
    let mut header = [0; 5];
    if socket.read_exact(&mut header).is_err() {
        return false;
    }
    let mut record = header.to_vec();
    record.resize(5 + usize::from(u16::from_be_bytes([header[3], header[4]])), 0);
    socket.read_exact(&mut record[5..]).unwrap();
    let mut rest = &record[..];
    while !rest.is_empty() {
        session.read_tls(&mut rest).unwrap();
        session.process_new_packets().unwrap();
    }
    true
}

async fn write_all(tls: &Tls, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| tls.poll_write(cx, Outgoing::Bytes(&[IoSlice::new(bytes)]))).await;
        bytes = &bytes[written.unwrap()..];
    }
}

async fn read(tls: &Tls, bytes: &mut BytesMut) -> usize {
    let mut descriptors = VecDeque::new();
    poll_fn(|cx| tls.poll_read(cx, bytes, &mut descriptors, Want::Anything(64 * 1024))).await.unwrap()
}

fn packet(length: u32) -> Vec<u8> {
    let mut packet = length.to_be_bytes().to_vec();
    packet.resize(length as usize, 7);
    packet
}

#[tokio::test]
async fn no_record_holds_two_packets() {
    let (tls, server) = session(records).await;
    let many: Vec<u8> = [28, 28, 100, 40_000, 28, 28].into_iter().flat_map(packet).collect();
    write_all(&tls, &many).await;
    drop(tls);
    let lengths = server.join().unwrap();
    let mut ends = Vec::new();
    for length in &lengths {
        ends.push(ends.last().unwrap_or(&0) + length);
    }
    for end in [28, 56, 156, 40_156, 40_184, 40_212] {
        assert!(ends.contains(&end), "a record goes over the end of a packet at {end}: {lengths:?}");
    }
    assert_eq!(ends.last(), Some(&many.len()));
    // And a packet takes no more records than it has to.
    assert_eq!(lengths.len(), 5 + 40_000_usize.div_ceil(16 * 1024));
}

#[tokio::test]
async fn both_directions_can_be_full_at_once() {
    const SIZE: usize = 8 << 20;
    let (tls, server) = session(|session, socket| {
        let mut stream = rustls::StreamOwned::new(session, socket);
        // It reads nothing until all of this is taken.
        stream.write_all(&vec![1; SIZE]).unwrap();
        let mut all = vec![0; SIZE];
        stream.read_exact(&mut all).unwrap();
        all.iter().all(|byte| *byte == 2)
    })
    .await;
    let tls = Arc::new(tls);
    let writer = tokio::spawn({
        let tls = Arc::clone(&tls);
        // No packets: a length word of 0x02020202 is too long for one.
        async move { write_all(&tls, &vec![2; SIZE]).await }
    });
    let mut bytes = BytesMut::new();
    while bytes.len() < SIZE {
        assert!(read(&tls, &mut bytes).await > 0);
    }
    assert!(bytes.iter().all(|byte| *byte == 1));
    writer.await.unwrap();
    assert!(server.join().unwrap());
}

#[tokio::test]
async fn an_end_is_an_end_with_or_without_leave() {
    for leave in [true, false] {
        let (tls, server) = session(move |session, socket| {
            let mut stream = rustls::StreamOwned::new(session, socket);
            stream.write_all(b"last words").unwrap();
            if leave {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
        })
        .await;
        let mut bytes = BytesMut::new();
        while read(&tls, &mut bytes).await > 0 {}
        assert_eq!(bytes, b"last words"[..]);
        assert_eq!(read(&tls, &mut bytes).await, 0);
        assert!(tls.hung_up());
        server.join().unwrap();
    }
}

#[tokio::test]
async fn what_is_written_counts_once_the_socket_has_it() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (tls, server) = session(move |session, socket| {
        wait.recv().unwrap();
        records(session, socket).into_iter().sum::<usize>()
    })
    .await;
    // As much as goes without anybody reading.
    let piece = packet(50_000);
    let mut written = 0;
    loop {
        match tls.try_write(Outgoing::Bytes(&[IoSlice::new(&piece[written % piece.len()..])])) {
            Ok(some) => written += some,
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if written % piece.len() == 0 {
            // Where the runtime has not seen yet that there is room.
            tokio::task::yield_now().await;
        }
    }
    go.send(()).unwrap();
    // The same bytes again: what is encrypted of them already is not encrypted twice.
    write_all(&tls, &piece[written % piece.len()..]).await;
    let total = written + piece.len() - written % piece.len();
    drop(tls);
    assert_eq!(server.join().unwrap(), total);
}

#[tokio::test]
async fn descriptors_do_not_travel() {
    let (tls, server) = session(records).await;
    let descriptor = std::fs::File::open("/dev/null").unwrap().into();
    let error = tls.try_write(Outgoing::Descriptor(&descriptor)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    drop(tls);
    assert_eq!(server.join().unwrap(), []);
}
