//! Descriptors beside calls and replies, over a UNIX socket.
#![cfg(unix)]

use bytes::BytesMut;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use virtwire::proto::connection::{IncomingCall, Server, ServerConfig, ServerEvent, Time, Transmit};
use virtwire::proto::program::{Call, remote};
use virtwire::{CallOptions, Connection, Error};

/// A server in a thread of its own that answers the opening, and all else by `answer`.
fn serve(socket: UnixStream, mut answer: impl FnMut(&mut Server, IncomingCall) + Send + 'static) {
    std::thread::spawn(move || {
        let mut server = Server::new(ServerConfig::new(&[&remote::PROGRAM]), Time::START);
        let mut bytes = BytesMut::new();
        let mut descriptors = VecDeque::new();
        loop {
            while let Some(event) = server.event() {
                let ServerEvent::Call(call) = event else { return };
                if call.procedure == remote::AuthListArgs::PROCEDURE {
                    server
                        .reply(call.id, &remote::AuthListRet { types: vec![remote::AuthType::NONE] })
                        .unwrap();
                } else if call.procedure == remote::ConnectSupportsFeatureArgs::PROCEDURE {
                    server.reply(call.id, &remote::ConnectSupportsFeatureRet { supported: 0 }).unwrap();
                } else if call.procedure == remote::ConnectOpenArgs::PROCEDURE {
                    server.reply(call.id, &()).unwrap();
                } else {
                    answer(&mut server, call);
                }
            }
            while let Some(transmit) = server.transmit() {
                match transmit {
                    Transmit::Bytes(bytes) => (&socket).write_all(&bytes).unwrap(),
                    Transmit::Descriptor(descriptor) => send(&socket, &descriptor),
                }
            }
            if !receive(&socket, &mut bytes, &mut descriptors) {
                return;
            }
            server.receive(&mut bytes, &mut descriptors, Time::START).unwrap();
        }
    });
}

fn send(socket: &UnixStream, descriptor: &OwnedFd) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let carried = [descriptor.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&carried)));
    assert_eq!(sendmsg(socket, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap(), 1);
}

fn receive(socket: &UnixStream, bytes: &mut BytesMut, descriptors: &mut VecDeque<OwnedFd>) -> bool {
    // Odd and small, so that packets and their descriptors come in parts.
    let mut buffer = [0; 13];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg(socket, &mut parts, &mut control, RecvFlags::empty()).map_or(0, |it| it.bytes);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(came) = message {
            descriptors.extend(came);
        }
    }
    bytes.extend_from_slice(&buffer[..received]);
    received > 0
}

async fn open(socket: UnixStream) -> Connection {
    socket.set_nonblocking(true).unwrap();
    let socket = tokio::net::UnixStream::from_std(socket).unwrap();
    Connection::builder("test:///scripted").open_on(socket).await.unwrap()
}

fn pipe() -> (File, File) {
    let (reading, writing) = std::io::pipe().unwrap();
    (OwnedFd::from(reading).into(), OwnedFd::from(writing).into())
}

#[tokio::test]
async fn descriptors_travel_both_ways_and_stay_with_their_packets() {
    const CALLS: usize = 20;
    let (ours, theirs) = UnixStream::pair().unwrap();
    // Each call's descriptors are written to, and one is given back.
    serve(theirs, |server, call| {
        assert_eq!(call.procedure, remote::DomainOpenGraphicsFdArgs::PROCEDURE);
        let idx = call.args::<remote::DomainOpenGraphicsFdArgs>().unwrap().idx;
        let mut files: Vec<File> = call.descriptors.into_iter().map(File::from).collect();
        for (number, file) in files.iter_mut().enumerate() {
            write!(file, "{idx}.{number};").unwrap();
        }
        let (reading, mut writing) = pipe();
        write!(writing, "answer {idx}").unwrap();
        server.reply_with(call.id, &(), vec![reading.into()]).unwrap();
    });
    let connection = open(ours).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|idx| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let (mut reading, writing) = pipe();
                let count = idx % 4 + 1;
                let descriptors = (0..count).map(|_| writing.try_clone().unwrap().into()).collect();
                drop(writing);
                let args = remote::DomainOpenGraphicsFdArgs { idx: idx as u32, ..Default::default() };
                let options = CallOptions::new().descriptors(descriptors);
                let ((), came) = connection.call_with(&args, options).await?;
                let [came] = <[OwnedFd; 1]>::try_from(came).unwrap();
                let mut answer = String::new();
                File::from(came).read_to_string(&mut answer).unwrap();
                assert_eq!(answer, format!("answer {idx}"));
                // The end says that no copy of what was sent is left here.
                let mut written = String::new();
                reading.read_to_string(&mut written).unwrap();
                assert_eq!(written, (0..count).map(|number| format!("{idx}.{number};")).collect::<String>());
                Ok::<_, Error>(())
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn more_descriptors_than_a_packet_carries_are_refused() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    serve(theirs, |_, call| panic!("{call:?}"));
    let connection = open(ours).await;
    let (reading, _writing) = pipe();
    let descriptors = (0..33).map(|_| reading.try_clone().unwrap().into()).collect();
    let args = remote::DomainOpenGraphicsFdArgs::default();
    let error = connection.call_with(&args, CallOptions::new().descriptors(descriptors)).await.unwrap_err();
    assert!(matches!(error, Error::Argument(_)), "{error:?}");
}

#[tokio::test]
async fn descriptors_that_nobody_takes_are_closed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut reading, writing) = pipe();
    let mut writing = Some(writing);
    serve(theirs, move |server, call| {
        server.reply_with(call.id, &(), vec![writing.take().unwrap().into()]).unwrap();
    });
    let connection = open(ours).await;
    connection.call(&remote::DomainOpenGraphicsFdArgs::default()).await.unwrap();
    // With all copies closed the pipe is at its end.
    assert_eq!(reading.read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_transport_that_carries_no_descriptors_says_so() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    serve(theirs, |_, call| panic!("{call:?}"));
    ours.set_nonblocking(true).unwrap();
    let io = tokio::net::UnixStream::from_std(ours).unwrap();
    let connection = Connection::builder("test:///scripted").open_over(io).await.unwrap();
    let (reading, _writing) = pipe();
    let args = remote::DomainOpenGraphicsFdArgs::default();
    let options = CallOptions::new().descriptors(vec![reading.into()]);
    let error = connection.call_with(&args, options).await.unwrap_err();
    assert!(error.to_string().contains("descriptors travel only over UNIX sockets"), "{error}");
}
