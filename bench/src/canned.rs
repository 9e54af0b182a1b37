//! A server that does no work: it answers from memory, a thread for each connection, with one write for all that one
//! read has brought.

use anyhow::{Context, Result};
use bytes::BytesMut;
use std::io::{IoSlice, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use virtwire::Uuid;
use virtwire::proto::packet::{self, Header, MIN_LEN, PacketType, STREAM_PAYLOAD_LEN, Serial, Status};
use virtwire::proto::program::remote::{
    self, AuthType, NonnullDomain, NonnullStoragePool, NonnullStorageVol,
};
use virtwire::proto::program::{Call, Procedure, keepalive};
use virtwire::proto::xdr::Text;

/// How many domains it lists.
const DOMAINS: u32 = 10_000;
/// How long its volume is, in bytes.
const VOLUME_LEN: usize = 1 << 30;
/// How much is read at once, in bytes.
const READ_LEN: usize = 256 * 1024;
/// What a connection's thread needs of stack, in bytes.
const STACK_LEN: usize = 64 * 1024;

/// Serves on `path` until standard input ends, so that no server outlives who has started it.
pub(crate) fn serve(path: &str) -> Result<()> {
    let listener = UnixListener::bind(path).with_context(|| path.to_owned())?;
    let answers = Arc::new(Answers::new());
    println!("listening");
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let answers = Arc::clone(&answers);
            let thread = std::thread::Builder::new().stack_size(STACK_LEN);
            // A connection that cannot be served is closed; its client says so.
            let _ = thread.spawn(move || Peer::new(socket).serve(&answers));
        }
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// All answers, encoded once; only the serial differs.
struct Answers {
    by_procedure: Vec<Option<Vec<u8>>>,
    empty: Vec<u8>,
    supported: Vec<u8>,
    chunk: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let mut answers = Self {
            by_procedure: Vec::new(),
            empty: reply::<remote::ConnectCloseArgs>(&()),
            supported: reply::<remote::ConnectSupportsFeatureArgs>(&remote::ConnectSupportsFeatureRet {
                supported: 1,
            }),
            chunk: vec![7; STREAM_PAYLOAD_LEN],
        };
        answers.add::<remote::AuthListArgs>(&remote::AuthListRet { types: vec![AuthType::NONE] });
        answers
            .add::<remote::ConnectSupportsFeatureArgs>(&remote::ConnectSupportsFeatureRet { supported: 0 });
        answers.add::<remote::ConnectGetUriArgs>(&remote::ConnectGetUriRet { uri: "test:///default".into() });
        answers.add::<remote::DomainGetInfoArgs>(&remote::DomainGetInfoRet {
            state: 1,
            max_mem: 1 << 20,
            memory: 1 << 20,
            nr_virt_cpu: 2,
            cpu_time: 123_456,
        });
        let domains: Vec<_> = (0..DOMAINS)
            .map(|number| NonnullDomain {
                name: Text::from(format!("vm-{number:05}")),
                uuid: Uuid::from_u128(u128::from(number) + 1),
                id: number as i32 + 1,
            })
            .collect();
        answers.add::<remote::ConnectListAllDomainsArgs>(&remote::ConnectListAllDomainsRet {
            domains,
            ret: DOMAINS,
        });
        let pool = NonnullStoragePool { name: "pool".into(), uuid: Uuid::from_u128(1) };
        answers.add::<remote::StoragePoolLookupByNameArgs>(&remote::StoragePoolLookupByNameRet { pool });
        let vol = NonnullStorageVol { pool: "pool".into(), name: "volume".into(), key: "/volume".into() };
        answers.add::<remote::StorageVolLookupByNameArgs>(&remote::StorageVolLookupByNameRet { vol });
        answers
    }

    fn add<C: Call>(&mut self, ret: &C::Ret) {
        let number = C::PROCEDURE.number as usize;
        if self.by_procedure.len() <= number {
            self.by_procedure.resize(number + 1, None);
        }
        self.by_procedure[number] = Some(reply::<C>(ret));
    }

    fn of(&self, procedure: i32, payload: &[u8]) -> &[u8] {
        // As libvirtd answers for its own features: PROGRAM_KEEPALIVE (10) to REMOTE_CLOSE_CALLBACK (15).
        if procedure == remote::ConnectSupportsFeatureArgs::PROCEDURE.number
            && matches!(payload, [0, 0, 0, 10..=15])
        {
            return &self.supported;
        }
        let known =
            usize::try_from(procedure).ok().and_then(|number| self.by_procedure.get(number)?.as_deref());
        known.unwrap_or(&self.empty)
    }
}

fn reply<C: Call>(ret: &C::Ret) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    packet::put_reply(&mut bytes, C::PROCEDURE, Serial(0), ret, 0).expect("what is canned passes no maximum");
    bytes.to_vec()
}

/// Where a packet's words stand, its length word first.
const PROGRAM: usize = 4;
const PROCEDURE: usize = 12;
const TYPE: usize = 16;
const SERIAL: usize = 20;
const STATUS: usize = 24;

fn word(packet: &[u8], at: usize) -> u32 {
    packet[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

struct Peer {
    socket: UnixStream,
    /// What was read and is no whole packet.
    read: Vec<u8>,
    len: usize,
    /// How much of a stream's packet is still to come and to be thrown away.
    skip: usize,
    out: Vec<u8>,
}

impl Peer {
    fn new(socket: UnixStream) -> Self {
        Self { socket, read: vec![0; READ_LEN], len: 0, skip: 0, out: Vec::new() }
    }

    /// Until the client leaves, or sends something longer than it is worth here.
    fn serve(mut self, answers: &Answers) -> std::io::Result<()> {
        loop {
            let read = self.socket.read(&mut self.read[self.len..])?;
            if read == 0 {
                return Ok(());
            }
            self.len += read;
            let taken = self.take(answers)?;
            self.read.copy_within(taken..self.len, 0);
            self.len -= taken;
            if !self.out.is_empty() {
                self.socket.write_all(&self.out)?;
                self.out.clear();
            }
        }
    }

    /// Answers all whole packets; gives how many bytes they take.
    fn take(&mut self, answers: &Answers) -> std::io::Result<usize> {
        let mut at = 0;
        loop {
            let skipped = self.skip.min(self.len - at);
            self.skip -= skipped;
            at += skipped;
            let Some(head) = self.read[at..self.len].first_chunk::<MIN_LEN>() else { return Ok(at) };
            let len = word(head, 0) as usize;
            let (packet_type, status) =
                (PacketType(word(head, TYPE) as i32), Status(word(head, STATUS) as i32));
            if packet_type == PacketType::STREAM && status == Status::CONTINUE {
                at += MIN_LEN;
                self.skip = len - MIN_LEN;
                continue;
            }
            let Some(packet) = self.read[at..self.len].get(..len) else { return Ok(at) };
            at += len;
            let (program, procedure) = (word(head, PROGRAM), word(head, PROCEDURE) as i32);
            if program == keepalive::PROGRAM.number {
                let start = self.out.len();
                self.out.extend_from_slice(packet);
                // A PING (1) comes back as a PONG (2).
                self.out[start + PROCEDURE + 3] = 2;
            } else if packet_type == PacketType::STREAM {
                // The stream's end is confirmed as it came.
                self.out.extend_from_slice(packet);
            } else {
                let answer = answers.of(procedure, &packet[MIN_LEN..]);
                let start = self.out.len();
                self.out.extend_from_slice(answer);
                self.out[start + PROCEDURE..][..4].copy_from_slice(&procedure.to_be_bytes());
                self.out[start + SERIAL..][..4].copy_from_slice(&head[SERIAL..][..4]);
                if procedure == remote::StorageVolDownloadArgs::PROCEDURE.number {
                    let serial = Serial(word(head, SERIAL));
                    self.socket.write_all(&self.out)?;
                    self.out.clear();
                    self.send_volume(serial, &answers.chunk)?;
                }
            }
        }
    }

    fn send_volume(&mut self, serial: Serial, chunk: &[u8]) -> std::io::Result<()> {
        let procedure = remote::StorageVolDownloadArgs::PROCEDURE;
        let whole = head(procedure, serial, chunk.len());
        let mut left = VOLUME_LEN;
        while left > 0 {
            let len = left.min(chunk.len());
            let last = (len < chunk.len()).then(|| head(procedure, serial, len));
            let head = last.as_deref().unwrap_or(&whole);
            let mut written =
                self.socket.write_vectored(&[IoSlice::new(head), IoSlice::new(&chunk[..len])])?;
            if written < head.len() {
                self.socket.write_all(&head[written..])?;
                written = head.len();
            }
            self.socket.write_all(&chunk[written - head.len()..len])?;
            left -= len;
        }
        self.socket.write_all(&head(procedure, serial, 0))
    }
}

fn head(procedure: &'static Procedure, serial: Serial, len: usize) -> Vec<u8> {
    let header = Header::new(procedure, PacketType::STREAM, serial, Status::CONTINUE);
    let mut bytes = BytesMut::new();
    packet::put_head(&mut bytes, procedure, header, len).expect("a chunk fits into a packet");
    bytes.to_vec()
}
