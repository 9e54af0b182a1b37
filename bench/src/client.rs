//! The client's side: the same things as in `client.c`, in the same order.

use crate::measure::{Watch, memory, tell, tell_median, threads};
use crate::number;
use anyhow::{Result, bail};
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Builder;
use virtwire::proto::flags::{ListAllDomainsFlags, StorageVolDownloadFlags, StorageVolUploadFlags};
use virtwire::{Chunk, Connection, Domain, StorageVol};

/// How much is uploaded, in bytes.
const UPLOAD_LEN: usize = 1 << 30;
/// How much is given to the stream at once, and taken from it where it is taken into a buffer.
const PIECE_LEN: usize = 256 * 1024;

pub(crate) fn run(mut runtime: Builder, args: &[&str]) -> Result<()> {
    let runtime = runtime.enable_all().build()?;
    match args {
        ["latency", uri, count] => runtime.block_on(latency(uri, number(count)?)),
        ["calls", uri, cap, tasks, count] => {
            runtime.block_on(calls(uri, cap, number(tasks)?, number(count)?))
        }
        ["list", uri, count] => runtime.block_on(list(uri, number(count)?)),
        ["download", uri, into] => runtime.block_on(download(uri, *into == "buffer")),
        ["upload", uri, out_of] => runtime.block_on(upload(uri, *out_of == "buffer")),
        ["idle", uri, count, tasks, keepalive] => {
            runtime.block_on(idle(uri, number(count)?, number(tasks)?, number(keepalive)?))
        }
        _ => bail!("{args:?} is nothing to measure"),
    }
}

async fn first_domain(connection: &Connection) -> Result<Domain> {
    let domains = connection.list_all_domains(ListAllDomainsFlags::empty()).await?;
    domains.into_iter().next().ok_or_else(|| anyhow::anyhow!("there is no domain"))
}

async fn latency(uri: &str, count: usize) -> Result<()> {
    let connection = Connection::open(uri).await?;
    let domain = first_domain(&connection).await?;
    // Asked from a task, as a program would.
    let durations = tokio::spawn(async move {
        let mut durations = Vec::with_capacity(count);
        for turn in 0..count + count / 10 {
            let started = Instant::now();
            domain.info().await?;
            if turn >= count / 10 {
                durations.push(started.elapsed());
            }
        }
        Ok::<_, virtwire::Error>(durations)
    });
    tell_median(durations.await??);
    Ok(())
}

async fn calls(uri: &str, cap: &str, tasks: usize, count: usize) -> Result<()> {
    let mut builder = Connection::builder(uri);
    match cap {
        "default" => {}
        "none" => builder = builder.max_calls_in_flight(usize::MAX),
        cap => builder = builder.max_calls_in_flight(number(cap)?),
    }
    let connection = builder.open().await?;
    let domain = first_domain(&connection).await?;
    let each = count / tasks;
    let watch = Watch::start()?;
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let domain = domain.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    domain.info().await?;
                }
                Ok::<_, virtwire::Error>(())
            })
        })
        .collect();
    let count = each * tasks.len();
    for task in tasks {
        task.await??;
    }
    watch.tell_rate(count)
}

async fn list(uri: &str, count: usize) -> Result<()> {
    let connection = Connection::open(uri).await?;
    let durations = tokio::spawn(async move {
        let mut durations = Vec::with_capacity(count);
        for _ in 0..count {
            let started = Instant::now();
            let domains = connection.list_all_domains(ListAllDomainsFlags::empty()).await?;
            durations.push(started.elapsed());
            drop(domains);
        }
        Ok::<_, virtwire::Error>(durations)
    });
    tell_median(durations.await??);
    Ok(())
}

async fn volume(uri: &str) -> Result<StorageVol> {
    let connection = Connection::open(uri).await?;
    Ok(connection.storage_pool_lookup_by_name("pool").await?.vol_lookup_by_name("volume").await?)
}

async fn download(uri: &str, into_buffer: bool) -> Result<()> {
    let volume = volume(uri).await?;
    tokio::spawn(async move {
        let watch = Watch::start()?;
        let mut stream = volume.download(0, 0, StorageVolDownloadFlags::empty()).await?;
        let mut total = 0;
        if into_buffer {
            let mut buffer = vec![0; PIECE_LEN];
            loop {
                let mut buf = ReadBuf::new(&mut buffer);
                std::future::poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buf)).await?;
                match buf.filled().len() {
                    0 => break,
                    read => total += read,
                }
            }
        } else {
            while let Some(chunk) = stream.receive().await? {
                if let Chunk::Data(data) = chunk {
                    total += data.len();
                }
            }
        }
        watch.tell_rate(total)
    })
    .await?
}

async fn upload(uri: &str, out_of_buffer: bool) -> Result<()> {
    let volume = volume(uri).await?;
    tokio::spawn(async move {
        let piece = Bytes::from(vec![7; PIECE_LEN]);
        let watch = Watch::start()?;
        let mut stream = volume.upload(0, 0, StorageVolUploadFlags::empty()).await?;
        let mut left = UPLOAD_LEN;
        while left > 0 {
            let part = left.min(PIECE_LEN);
            if out_of_buffer {
                left -=
                    std::future::poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, &piece[..part])).await?;
            } else {
                stream.send(piece.slice(..part)).await?;
                left -= part;
            }
        }
        stream.finish().await?;
        watch.tell_rate(UPLOAD_LEN)
    })
    .await?
}

async fn idle(uri: &str, count: usize, tasks: usize, keepalive: usize) -> Result<()> {
    let mut builder = Connection::builder(uri).no_keepalive();
    if keepalive > 0 {
        builder = builder.keepalive(Duration::from_secs(keepalive as u64), 5);
    }
    let none = memory()?;
    let first = builder.clone().open().await?;
    let one = memory()?;
    let watch = Watch::start()?;
    let left = Arc::new(AtomicUsize::new(count));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (builder, left) = (builder.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                let mut opened = Vec::new();
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    opened.push(builder.clone().open().await?);
                }
                Ok::<_, virtwire::Error>(opened)
            })
        })
        .collect();
    let mut opened = Vec::new();
    for task in tasks {
        opened.push(task.await??);
    }
    watch.tell_seconds();
    let all = memory()?;
    tell("memory", (all - none) / count as f64);
    tell("further", (all - one) / count as f64);
    tell("threads", threads()?);
    drop((first, opened));
    Ok(())
}
