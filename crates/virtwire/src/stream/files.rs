//! Copies between streams and files that keep holes: what virsh does for `vol-download --sparse` and back.

use super::sparse_file::{FileError, Reader, Writer};
use super::{Chunk, Stream};
use crate::{Error, Result};
use std::fmt;
use std::fs::File;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::Poll;
use tokio::task::{JoinHandle, spawn_blocking};

/// How much data is taken from a stream before it is written.
const BATCH: usize = 1024 * 1024;
/// How many parts of a stream are taken before they are written.
const BATCH_CHUNKS: usize = 256;

/// How much a copy has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Copied {
    /// Bytes of data.
    pub data: u64,
    /// Bytes of holes, which did not travel.
    pub holes: u64,
}

impl Copied {
    /// Data and holes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.data.saturating_add(self.holes)
    }
}

impl Stream {
    /// Writes all that comes into a file, from the file's position on, to the end that the daemon confirms. Holes
    /// become holes, also where the file had data; a hole at the end makes it longer. What the file has behind the
    /// end stays: it is the caller's to make it empty before.
    ///
    /// A hole that no file is long enough for is refused. The file's position is behind the copy in the end; until
    /// then it is the copy's. Nothing is asked to be on the disk: see [`File::sync_all`].
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Copy`]; both say at which offset.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::flags::StorageVolDownloadFlags;
    /// # async fn example(volume: virtwire::StorageVol) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::File::create("disk.img")?;
    /// let stream = volume.download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
    /// let copied = stream.receive_to_file(&file).await?;
    /// println!("{} bytes, {} of them in holes", copied.total(), copied.holes);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virStreamRecvAll")]
    #[doc(alias = "virStreamSparseRecvAll")]
    pub fn receive_to_file<'a>(self, file: impl AsFd) -> FileCopy<'a> {
        FileCopy::new(self, file, Way::Receive)
    }

    /// Sends what a file has from its position on, holes as zeros, and finishes the stream.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Copy`]; both say at which offset.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::flags::StorageVolUploadFlags;
    /// # async fn example(volume: virtwire::StorageVol) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::File::open("disk.img")?;
    /// let length = file.metadata()?.len();
    /// let stream = volume.upload(0, length, StorageVolUploadFlags::empty()).await?;
    /// stream.send_file(&file).progress(|copied| println!("{} of {length}", copied.total())).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virStreamSendAll")]
    pub fn send_file<'a>(self, file: impl AsFd) -> FileCopy<'a> {
        FileCopy::new(self, file, Way::Send { holes: false })
    }

    /// As [`Stream::send_file`], with the file's holes as holes: on a stream that was opened sparse, for libvirt
    /// hangs up on who sends a hole on another. What a volume has where a hole is sent becomes a hole there.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Copy`]; both say at which offset.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::flags::StorageVolUploadFlags;
    /// # async fn example(volume: virtwire::StorageVol) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::File::open("disk.img")?;
    /// let stream = volume.upload(0, 0, StorageVolUploadFlags::SPARSE_STREAM).await?;
    /// stream.send_sparse_file(&file).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virStreamSparseSendAll")]
    pub fn send_sparse_file<'a>(self, file: impl AsFd) -> FileCopy<'a> {
        FileCopy::new(self, file, Way::Send { holes: true })
    }
}

/// A copy between a stream and a file: runs when it is awaited, and gives what it has moved. No thread of the runtime
/// waits for the disk meanwhile, and at most about 2 MiB are held, beside what the connection keeps of a
/// [stream](crate::Builder::stream_buffer).
///
/// Dropping it gives up the stream; what the file has got by then stays there, and a read or write that has begun is
/// ended in the background.
#[must_use = "a copy runs only when it is awaited"]
pub struct FileCopy<'a> {
    stream: Stream,
    file: io::Result<File>,
    way: Way,
    progress: Progress<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Receive,
    Send { holes: bool },
}

type Progress<'a> = Option<Box<dyn FnMut(Copied) + Send + 'a>>;

impl<'a> FileCopy<'a> {
    fn new(stream: Stream, file: impl AsFd, way: Way) -> Self {
        // Of its own: a read or write may outlive the copy.
        let file = file.as_fd().try_clone_to_owned().map(File::from);
        Self { stream, file, way, progress: None }
    }

    /// Calls `progress` after each part, at most a mebibyte or a hole, with what was moved so far.
    pub fn progress<'b>(self, progress: impl FnMut(Copied) + Send + 'b) -> FileCopy<'b> {
        FileCopy { stream: self.stream, file: self.file, way: self.way, progress: Some(Box::new(progress)) }
    }
}

impl<'a> IntoFuture for FileCopy<'a> {
    type Output = Result<Copied>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Copied>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { stream, file, way, progress } = self;
            let file = file.map_err(|source| Error::File { action: "open", offset: 0, source })?;
            match way {
                Way::Receive => receive(stream, file, progress).await,
                Way::Send { holes } => send(stream, file, holes, progress).await,
            }
        })
    }
}

impl fmt::Debug for FileCopy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCopy")
            .field("stream", &self.stream)
            .field("file", &self.file)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

async fn receive(mut stream: Stream, file: File, mut progress: Progress<'_>) -> Result<Copied> {
    let mut writer = blocking(|| Writer::new(file)).await?;
    let mut chunks = Vec::new();
    loop {
        let more =
            stream.receive_batch(&mut chunks).await.map_err(|error| stopped(writer.offset(), error))?;
        if !more {
            break;
        }
        writer.put(&mut chunks);
        let mut done = false;
        while !done {
            (writer, done) = blocking(move || {
                let done = writer.step()?;
                Ok((writer, done))
            })
            .await?;
            report(&mut progress, copied(&writer));
        }
    }
    let writer = blocking(move || {
        writer.finish()?;
        Ok(writer)
    })
    .await?;
    Ok(copied(&writer))
}

fn copied(writer: &Writer) -> Copied {
    let written = writer.written();
    Copied { data: written.data, holes: written.holes }
}

async fn send(mut stream: Stream, file: File, holes: bool, mut progress: Progress<'_>) -> Result<Copied> {
    let reader = blocking(move || Reader::new(file, holes)).await?;
    let mut copied = Copied::default();
    let mut at = reader.offset();
    let mut reading = read(reader);
    loop {
        let (reader, chunk) = joined(reading).await?;
        let Some(chunk) = chunk else { break };
        // Read on while that is sent.
        reading = read(reader);
        let (sent, moved) = match chunk {
            Chunk::Data(data) => {
                let length = data.len() as u64;
                copied.data += length;
                (stream.send(data).await, length)
            }
            Chunk::Hole(length) => {
                copied.holes += length;
                (stream.send_hole(length).await, length)
            }
        };
        sent.map_err(|error| stopped(at, error))?;
        at += moved;
        report(&mut progress, copied);
    }
    stream.finish().await.map_err(|error| stopped(at, error))?;
    Ok(copied)
}

type Read = std::result::Result<(Reader, Option<Chunk>), FileError>;

fn read(mut reader: Reader) -> JoinHandle<Read> {
    spawn_blocking(move || {
        let chunk = reader.next()?;
        Ok((reader, chunk))
    })
}

impl Stream {
    /// Takes what is there of the stream, once something is; `false` at its end.
    async fn receive_batch(&mut self, chunks: &mut Vec<Chunk>) -> Result<bool> {
        let mut bytes = 0;
        poll_fn(|cx| {
            while bytes < BATCH && chunks.len() < BATCH_CHUNKS {
                match self.poll_receive(cx) {
                    Poll::Ready(Ok(Some(chunk))) => {
                        if let Chunk::Data(data) = &chunk {
                            bytes += data.len();
                        }
                        chunks.push(chunk);
                    }
                    // An end comes again when it is asked for again.
                    _ if !chunks.is_empty() => break,
                    Poll::Ready(Ok(None)) => return Poll::Ready(Ok(false)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(true))
        })
        .await
    }
}

fn report(progress: &mut Progress<'_>, copied: Copied) {
    if let Some(progress) = progress {
        progress(copied);
    }
}

fn stopped(offset: u64, source: Error) -> Error {
    Error::Copy { offset, source: Box::new(source) }
}

/// Does what may wait for a disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, FileError> + Send + 'static,
) -> Result<T> {
    joined(spawn_blocking(work)).await
}

async fn joined<T>(work: JoinHandle<std::result::Result<T, FileError>>) -> Result<T> {
    match work.await {
        Ok(result) => {
            result.map_err(|FileError { action, offset, source }| Error::File { action, offset, source })
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends.
            Err(error) => {
                Err(Error::File { action: "go on with", offset: 0, source: io::Error::other(error) })
            }
        },
    }
}
