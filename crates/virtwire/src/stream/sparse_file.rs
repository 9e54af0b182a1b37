//! A file and its holes: read as data and holes, written from data and holes. Each step is a little blocking work.

use super::Chunk;
use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, OFlags, SeekFrom, fcntl_getfl, fstat, ftruncate, seek, tell};
use rustix::io::{Errno, pread, retry_on_intr};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much one step reads, or overwrites by zeros.
const STEP: usize = 1024 * 1024;

/// What the system does not do with a file, and where.
#[derive(Debug)]
pub(super) struct FileError {
    pub(super) action: &'static str,
    pub(super) offset: u64,
    pub(super) source: io::Error,
}

type Result<T> = std::result::Result<T, FileError>;

fn cannot<E: Into<io::Error>>(action: &'static str, offset: u64) -> impl FnOnce(E) -> FileError {
    move |source| FileError { action, offset, source: source.into() }
}

/// A file that is read from its position on.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    at: u64,
    /// Up to where there is data without a hole, as far as that is known.
    data_until: u64,
}

impl Reader {
    /// Reads `file`, with its holes as such where they are wanted.
    pub(super) fn new(file: File, holes: bool) -> Result<Self> {
        let at = tell(&file).map_err(cannot("find the position of", 0))?;
        Ok(Self { file, at, data_until: if holes { at } else { u64::MAX } })
    }

    /// Where it is.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// What comes next; `None` at the end, where the file's position is then.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        if self.at == self.data_until {
            let start = match next_data(&self.file, self.at).map_err(cannot("find data in", self.at))? {
                Some(start) => start,
                None => length(&self.file).map_err(cannot("find the end of", self.at))?,
            };
            if start > self.at {
                let hole = start - self.at;
                self.at = start;
                self.data_until = start;
                return Ok(Some(Chunk::Hole(hole)));
            }
            self.data_until =
                next_hole(&self.file, self.at).map_err(cannot("find holes in", self.at))?.unwrap_or(self.at);
        }
        let wanted = usize::try_from(self.data_until - self.at).unwrap_or(STEP).min(STEP);
        let data = self.read(wanted).map_err(cannot("read", self.at))?;
        if data.is_empty() {
            // Also where it has become shorter meanwhile.
            seek(&self.file, SeekFrom::Start(self.at)).map_err(cannot("set the position of", self.at))?;
            return Ok(None);
        }
        self.at += data.len() as u64;
        Ok(Some(Chunk::Data(data)))
    }

    /// Up to this many bytes; none at the end.
    fn read(&self, wanted: usize) -> io::Result<Bytes> {
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut data = Vec::with_capacity(wanted);
        retry_on_intr(|| pread(&self.file, spare_capacity(&mut data), self.at))?;
        // Room for more than is wanted may have been made.
        data.truncate(wanted);
        Ok(data.into())
    }
}

/// A file that is written from its position on.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    at: u64,
    /// Where it ends so far: behind that all reads as zeros.
    end: u64,
    /// Whether it has a length that can be set; otherwise it is a device.
    regular: bool,
    queue: VecDeque<Chunk>,
    written: Written,
}

/// How much data was written, and how many bytes of holes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) data: u64,
    pub(super) holes: u64,
}

impl Writer {
    pub(super) fn new(file: File) -> Result<Self> {
        let at = tell(&file).map_err(cannot("find the position of", 0))?;
        if fcntl_getfl(&file).map_err(cannot("ask", at))?.contains(OFlags::APPEND) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it was opened to append to it");
            return Err(cannot("write", at)(source));
        }
        let regular = is_regular(&file).map_err(cannot("ask", at))?;
        let end = length(&file).map_err(cannot("find the end of", at))?;
        Ok(Self { file, at, end, regular, queue: VecDeque::new(), written: Written::default() })
    }

    /// Where it is.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// What was written so far.
    pub(super) fn written(&self) -> Written {
        self.written
    }

    /// Takes what is to be written next.
    pub(super) fn put(&mut self, chunks: &mut Vec<Chunk>) {
        self.queue.extend(chunks.drain(..));
    }

    /// Writes some of what is to be written. Whether all of it is.
    pub(super) fn step(&mut self) -> Result<bool> {
        let mut room = STEP;
        while let Some(chunk) = self.queue.pop_front() {
            match chunk {
                Chunk::Data(data) => {
                    self.file.write_all_at(&data, self.at).map_err(cannot("write", self.at))?;
                    self.at += data.len() as u64;
                    self.end = self.end.max(self.at);
                    self.written.data += data.len() as u64;
                    room = room.saturating_sub(data.len());
                }
                Chunk::Hole(length) => {
                    let left = self.hole(length, &mut room)?;
                    if left > 0 {
                        self.queue.push_front(Chunk::Hole(left));
                    }
                }
            }
            if room == 0 {
                break;
            }
        }
        Ok(self.queue.is_empty())
    }

    /// Makes a hole, or a part of it; gives how much is left to make.
    fn hole(&mut self, length: u64, room: &mut usize) -> Result<u64> {
        let after = self.at.checked_add(length).filter(|&after| i64::try_from(after).is_ok());
        let Some(after) = after else {
            let reason = format!("no file is long enough for a hole of {length} bytes there");
            return Err(cannot("write", self.at)(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
        };
        let solid = after.min(self.end);
        let made = if self.at < solid {
            // A block is given back only whole, the last one too.
            let to = if solid == self.end && self.regular { whole_blocks(solid) } else { solid };
            clear(&self.file, self.at, to, room).map_err(cannot("make a hole in", self.at))?.min(solid)
        } else {
            self.at
        };
        // Behind the end nothing needs to be done.
        let now = if made == solid { after } else { made };
        let left = after - now;
        self.written.holes += now - self.at;
        self.at = now;
        Ok(left)
    }

    /// Ends the writing: a hole at the end makes the file longer. The file's position is there.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.at > self.end {
            if self.regular {
                ftruncate(&self.file, self.at).map_err(cannot("lengthen", self.end))?;
            } else {
                let reason = format!("the device ends there, {} bytes too early", self.at - self.end);
                return Err(cannot("write", self.end)(io::Error::new(io::ErrorKind::StorageFull, reason)));
            }
        }
        seek(&self.file, SeekFrom::Start(self.at)).map_err(cannot("set the position of", self.at))?;
        Ok(())
    }
}

/// The end of the block that ends at or behind an offset, however large the file system's are.
fn whole_blocks(offset: u64) -> u64 {
    offset.checked_next_multiple_of(STEP as u64).filter(|&end| i64::try_from(end).is_ok()).unwrap_or(offset)
}

/// Makes what lies between two offsets read as zeros, or a part of it; gives up to where. What is a hole stays
/// one, and what can become one does.
fn clear(file: &File, from: u64, to: u64, room: &mut usize) -> io::Result<u64> {
    if punch(file, from, to)? { Ok(to) } else { overwrite(file, from, to, room) }
}

/// Writes zeros where there is data between two offsets, as far as there is room for them; gives up to where.
fn overwrite(file: &File, from: u64, to: u64, room: &mut usize) -> io::Result<u64> {
    let mut at = from;
    while at < to && *room > 0 {
        let Some(start) = next_data(file, at)?.filter(|&start| start < to) else { return Ok(to) };
        at = start.max(at);
        let until = next_hole(file, at)?.unwrap_or(to).min(to);
        while at < until && *room > 0 {
            let count = usize::try_from(until - at).unwrap_or(*room).min(*room).min(STEP);
            file.write_all_at(&vec![0; count], at)?;
            at += count as u64;
            *room -= count;
        }
    }
    Ok(at)
}

/// Makes a hole where there is data; `false` where the file system or the device has none.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn punch(file: &File, from: u64, to: u64) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| fallocate(file, flags, from, to - from)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn punch(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// Where data begins at or behind an offset, if it does.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    find(file, at, Border::Data)
}

/// Where a hole begins at or behind an offset; the end counts as one. `None` behind the end.
fn next_hole(file: &File, at: u64) -> io::Result<Option<u64>> {
    find(file, at, Border::Hole)
}

#[derive(Debug, Clone, Copy)]
enum Border {
    Data,
    Hole,
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos"
))]
fn find(file: &File, at: u64, border: Border) -> io::Result<Option<u64>> {
    let to = match border {
        Border::Data => SeekFrom::Data(at),
        Border::Hole => SeekFrom::Hole(at),
    };
    match seek(file, to) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NXIO) => Ok(None),
        // A file system that knows nothing of holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => all_data(file, at, border),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "solaris",
    target_os = "illumos"
)))]
fn find(file: &File, at: u64, border: Border) -> io::Result<Option<u64>> {
    all_data(file, at, border)
}

/// What a file without holes has.
fn all_data(file: &File, at: u64, border: Border) -> io::Result<Option<u64>> {
    let end = length(file)?;
    Ok((at < end).then_some(match border {
        Border::Data => at,
        Border::Hole => end,
    }))
}

fn is_regular(file: &File) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode) == FileType::RegularFile)
}

/// How long a file or a device is.
fn length(file: &File) -> io::Result<u64> {
    Ok(if is_regular(file)? { file.metadata()?.len() } else { seek(file, SeekFrom::End(0))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_holes_can_be_made_data_becomes_zeros_a_step_at_a_time() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![7; 3 * STEP], 0).unwrap();
        file.write_all_at(&vec![7; STEP], 5 * STEP as u64).unwrap();
        let (from, to) = (10, 5 * STEP as u64 + 10);
        let mut at = from;
        let mut steps = 0;
        while at < to {
            at = overwrite(&file, at, to, &mut STEP.clone()).unwrap();
            steps += 1;
        }
        assert!(steps >= 3, "{steps} steps");
        let mut content = vec![0; 6 * STEP];
        file.read_exact_at(&mut content, 0).unwrap();
        assert!(content[..10].iter().chain(&content[5 * STEP + 10..]).all(|&byte| byte == 7));
        assert!(content[10..5 * STEP + 10].iter().all(|&byte| byte == 0));
        // What was a hole is one.
        assert_eq!(next_hole(&file, 0).unwrap(), Some(3 * STEP as u64));
    }
}
