//! Programs run with a time limit, and processes found and ended by their number.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, kill_process_group};

pub use rustix::process::Signal;

use crate::error::{Context, Error, Result};

/// How long [`run`] lets a program run.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `command` for at most a minute and gives what it wrote to its standard output.
///
/// # Errors
/// It could not be started, did not end in time, or ended with another status than 0: the error has both outputs.
pub fn run(command: &mut Command) -> Result<String> {
    let output = run_for(command, LIMIT)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("{}: {}\n{stdout}{stderr}", shown(command), output.status)))
}

/// Runs `command` for at most `limit`, with an empty standard input, and gives its status and outputs.
///
/// When the time is over it is killed with its process group.
///
/// # Errors
/// It could not be started, or did not end in time.
pub fn run_for(command: &mut Command, limit: Duration) -> Result<Output> {
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context(|| shown(command))?;
    let group = pid(child.id());
    let (sender, receiver) = mpsc::channel();
    collect(child.stdout.take(), &sender, |bytes| (Some(bytes), None));
    collect(child.stderr.take(), &sender, |bytes| (None, Some(bytes)));

    let (mut stdout, mut stderr) = (None, None);
    while stdout.is_none() || stderr.is_none() {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((out, err)) => {
                stdout = stdout.or(out);
                stderr = stderr.or(err);
            }
            Err(_) => break,
        }
    }
    let mut status = None;
    let ended = stdout.is_some()
        && stderr.is_some()
        && wait_until(deadline, || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        });
    match status {
        Some(status) if ended => {
            Ok(Output { status, stdout: stdout.unwrap_or_default(), stderr: stderr.unwrap_or_default() })
        }
        _ => {
            // Not reaped yet, so the number is still this group's own.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            Err(Error::new(format!("{}: did not end within {limit:?}", shown(command))))
        }
    }
}

/// Asks `condition` again and again, a few milliseconds apart, until it holds (`true`) or `deadline` has passed.
pub fn wait_until(deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(3));
    }
}

/// The numbers of the processes that have `path` somewhere in their arguments, whoever started them.
pub fn pids_naming(path: &Path) -> Vec<u32> {
    let needle = path.as_os_str().as_bytes();
    let names = |arguments: Vec<u8>| {
        !needle.is_empty() && arguments.windows(needle.len()).any(|window| window == needle)
    };
    processes().filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(names)).collect()
}

/// Sends `signal` to the process `id`.
///
/// The caller has not waited for it yet, or it may hit a stranger that was given the number since.
pub(crate) fn send(id: u32, signal: Signal) -> io::Result<()> {
    Ok(kill_process(pid(id), signal)?)
}

/// A daemon's own mount namespace: whatever it starts stays in it, however far it detaches.
///
/// The open file keeps the namespace's number from being given to another one.
#[derive(Debug)]
pub(crate) struct Namespace {
    inode: u64,
    _open: File,
}

impl Namespace {
    /// The mount namespace of the process `id`, once it has one of its own.
    pub(crate) fn of(id: u32) -> io::Result<Option<Self>> {
        let open = File::open(format!("/proc/{id}/ns/mnt"))?;
        let inode = open.metadata()?.ino();
        let own = fs::metadata("/proc/self/ns/mnt")?.ino();
        Ok((inode != own).then_some(Self { inode, _open: open }))
    }

    /// The processes in it.
    pub(crate) fn pids(&self) -> Vec<u32> {
        processes()
            .filter(|id| {
                fs::metadata(format!("/proc/{id}/ns/mnt")).is_ok_and(|file| file.ino() == self.inode)
            })
            .collect()
    }

    /// Kills all processes in it and waits until they are gone; what is left after `limit` is given back.
    pub(crate) fn clear(&self, limit: Duration) -> Vec<u32> {
        let mut left = Vec::new();
        wait_until(Instant::now() + limit, || {
            left = self.pids();
            for &id in &left {
                let _ = send(id, Signal::KILL);
            }
            left.is_empty()
        });
        left
    }
}

/// The TCP ports of IPv4 that the process `id` listens on, in the order it opened them.
pub(crate) fn listening_ports(id: u32) -> io::Result<Vec<u16>> {
    let mut descriptors = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/fd"))?.flatten() {
        let number = entry.file_name().to_string_lossy().parse::<u32>();
        if let (Ok(number), Ok(target)) = (number, fs::read_link(entry.path())) {
            descriptors.push((number, target.to_string_lossy().into_owned()));
        }
    }
    descriptors.sort();
    let listening = parse_listening(&fs::read_to_string(format!("/proc/{id}/net/tcp"))?);
    Ok(descriptors
        .iter()
        .filter_map(|(_, target)| {
            let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
            listening.iter().find(|(_, of)| of == inode).map(|(port, _)| *port)
        })
        .collect())
}

/// Port and inode of each listening socket in the text of `/proc/net/tcp`.
fn parse_listening(table: &str) -> Vec<(u16, String)> {
    const LISTEN: &str = "0A";
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = columns.get(1)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (*columns.get(3)? == LISTEN).then(|| Some((port, columns.get(9)?.to_string())))?
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// The numbers of all processes; none where there is no `/proc`.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("the number of a process that was started")
}

/// Reads a child's output to its end in a thread of its own.
fn collect<T: Send + 'static>(
    from: Option<impl Read + Send + 'static>,
    sender: &mpsc::Sender<T>,
    wrap: impl FnOnce(Vec<u8>) -> T + Send + 'static,
) {
    let sender = sender.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        // The receiver is gone when the time was over.
        let _ = sender.send(wrap(bytes));
    });
}

/// Program and arguments for an error message, without the script that enters a chroot.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    if let Some(script) = words.iter().position(|word| word.contains('\n')) {
        words.drain(..(script + 3).min(words.len()));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_gives_the_output_or_says_what_failed() {
        assert_eq!(run(Command::new("echo").arg("hello")).unwrap(), "hello\n");
        let error =
            run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("out") && error.contains("err"),
            "{error}"
        );
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err().to_string();
        assert!(error.starts_with("no-such-program-anywhere: "), "{error}");
    }

    #[test]
    fn output_of_any_size_is_taken_from_both_pipes() {
        let script = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2";
        let output = run_for(Command::new("sh").args(["-c", script]), LIMIT).unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (1_000_000, 1_000_000));
    }

    #[test]
    fn what_does_not_end_in_time_is_killed_with_its_children() {
        let mark = tempfile::tempdir().unwrap();
        let script = "sleep 600 & wait # $0";
        let started = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(mark.path());
        let error = run_for(&mut command, Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("did not end within 200ms"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60));
        assert_eq!(pids_naming(mark.path()), []);
    }

    #[test]
    fn what_closes_its_outputs_and_goes_on_is_killed_too() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 600 >&- 2>&-"]);
        let error = run_for(&mut command, Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("did not end"), "{error}");
    }

    #[test]
    fn listening_sockets_are_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:8ED7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41922 1 0\n\
            \x20  1: 0100007F:8ED7 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 41923 1 0\n";
        assert_eq!(parse_listening(table), [(0x8ed7, "41922".to_owned())]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_of_this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening_ports(std::process::id()).unwrap().contains(&port));
    }
}
