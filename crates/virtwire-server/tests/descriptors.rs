//! Descriptors beside calls and answers. One test, since it counts what the whole process has open.

mod common;

use common::raw::{Raw, Wire};
use common::tiny::{domain, server, tiny};
use common::{open_descriptors, soon};
use std::fs::File;
use std::io::Read;
use virtwire_proto::program::remote::*;
use virtwire_server::{CloseReason, ListenAddress, Listener};

#[tokio::test]
async fn descriptors_travel_both_ways_and_none_is_left() {
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let mut raw = Raw::opened(&server).await;
    let before = open_descriptors();

    // To the service: as many as a packet carries.
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..32 {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        readers.push(reader);
        writers.push(writer);
    }
    let args = DomainOpenGraphicsArgs { dom: domain(), idx: 32, flags: 0 };
    let serial = raw.start_with(&args, writers);
    raw.reply(serial).await.unwrap();
    for (number, reader) in readers.into_iter().enumerate() {
        let mut bytes = Vec::new();
        // Ends, since the service has closed its end.
        File::from(reader).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [number as u8]);
    }

    // From the service.
    let args = DomainOpenGraphicsFdArgs { dom: domain(), idx: 0, flags: 0 };
    let serial = raw.start(&args);
    let mut reply = raw.reply(serial).await.unwrap();
    let mut text = String::new();
    File::from(reply.descriptors.pop().unwrap()).read_to_string(&mut text).unwrap();
    assert_eq!((&*text, reply.descriptors.len()), ("graphics", 0));

    // To a procedure that wants none, and to one that does not exist.
    for _ in 0..10 {
        let serial = raw.start_with(&ConnectGetHostnameArgs {}, vec![rustix::pipe::pipe().unwrap().0]);
        raw.reply(serial).await.unwrap();
        let lxc = virtwire_proto::program::lxc::DomainOpenNamespaceArgs::default();
        let serial = raw.start_with(&lxc, vec![rustix::pipe::pipe().unwrap().0]);
        raw.reply(serial).await.unwrap_err();
    }
    assert_eq!(open_descriptors(), before);

    // Answers that nobody takes.
    {
        let mut gone = Raw::opened(&server).await;
        let client = tiny.client();
        for _ in 0..3 {
            gone.start(&args);
        }
        gone.flush().await;
        drop(gone);
        soon(client.closed()).await;
    }
    // The task that held them ends after its client is told so.
    for _ in 0..100 {
        if open_descriptors() == before {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(open_descriptors(), before);

    // Announced but not sent.
    let mut liar = Raw::opened(&server).await;
    let client = tiny.client();
    let mut packet = Vec::new();
    for word in [32_u32, 0x2000_8086, 1, 59, 4, 9, 0, 1] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.push(0);
    liar.write(&packet).await.unwrap();
    assert!(matches!(soon(client.closed()).await, CloseReason::Framing(_)));

    // Over TCP none travel: an error says so, and the connection goes on.
    let listener = Listener::tcp("127.0.0.1:0").await.unwrap();
    let ListenAddress::Tcp(address) = *listener.address() else { panic!("not TCP") };
    server.listen(listener);
    let mut raw = Raw::new(Wire::Tcp(tokio::net::TcpStream::connect(address).await.unwrap()));
    raw.call(&ConnectOpenArgs::default()).await.unwrap();
    let error = raw.call(&args).await.unwrap_err();
    assert_eq!(error.message.unwrap().to_str(), Ok("descriptors travel over UNIX sockets only"));
    raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
}
