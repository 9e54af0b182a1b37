//! A bare socket that pipelines calls: what any client can reach at most. It decodes nothing and wakes nobody.

use crate::measure::Watch;
use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use virtwire::proto::packet::{self, Packet, Serial, Status};
use virtwire::proto::program::Call;
use virtwire::proto::program::remote;

/// Where the serial stands in a packet, and its status.
const SERIAL: usize = 20;
const STATUS: usize = 24;
/// How much is read at once, in bytes.
const READ_LEN: usize = 64 * 1024;

/// Keeps `depth` calls of DOMAIN_GET_INFO on their way until `count` are answered.
pub(crate) fn run(path: &str, depth: usize, count: usize) -> Result<()> {
    let mut socket = UnixStream::connect(path).with_context(|| path.to_owned())?;
    ask(&mut socket, &remote::AuthListArgs)?;
    ask(&mut socket, &remote::ConnectOpenArgs { name: Some("test:///default".into()), flags: 0 })?;
    let all = ask(&mut socket, &remote::ConnectListAllDomainsArgs { need_results: 1, flags: 0 })?;
    let dom = all.domains.into_iter().next().context("there is no domain")?;
    let call = encode(&remote::DomainGetInfoArgs { dom })?;

    let watch = Watch::start()?;
    let mut serial = 0_u32;
    let (mut sent, mut answered) = (0, 0);
    let mut out = Vec::new();
    let mut read = vec![0; READ_LEN];
    let mut len = 0;
    while answered < count {
        out.clear();
        while sent < count && sent - answered < depth {
            serial += 1;
            let start = out.len();
            out.extend_from_slice(&call);
            out[start + SERIAL..][..4].copy_from_slice(&serial.to_be_bytes());
            sent += 1;
        }
        if !out.is_empty() {
            socket.write_all(&out)?;
        }
        let came = socket.read(&mut read[len..])?;
        ensure!(came > 0, "the server has left");
        len += came;
        let mut at = 0;
        while let Some(word) = read[at..len].first_chunk::<4>() {
            let packet_len = u32::from_be_bytes(*word) as usize;
            let Some(packet) = read[at..len].get(..packet_len) else { break };
            if packet[STATUS..][..4] != [0; 4] {
                bail!("the server answers with an error");
            }
            at += packet_len;
            answered += 1;
        }
        read.copy_within(at..len, 0);
        len -= at;
    }
    watch.tell_rate(count)
}

fn encode<C: Call>(args: &C) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    packet::put_call(&mut bytes, Serial(0), args, 0)?;
    Ok(bytes)
}

/// One call, and the wait for its answer.
fn ask<C: Call>(socket: &mut UnixStream, args: &C) -> Result<C::Ret> {
    socket.write_all(&encode(args)?)?;
    let mut bytes = BytesMut::new();
    let mut piece = vec![0; READ_LEN];
    loop {
        if let Some(Packet { header, payload, .. }) = packet::cut(&mut bytes, &mut Default::default())? {
            ensure!(header.status == Status::OK, "{}: the server answers with an error", C::PROCEDURE);
            return Ok(virtwire::proto::xdr::from_bytes(payload)?);
        }
        let came = socket.read(&mut piece)?;
        ensure!(came > 0, "the server has left");
        bytes.extend_from_slice(&piece[..came]);
    }
}
