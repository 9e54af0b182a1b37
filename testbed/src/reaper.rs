//! Burying the guests: a QEMU that has gone into the background is an orphan, and whoever is init may not wait for it.
//!
//! libvirtd takes a guest that nobody has waited for to be alive, and fails to end it. In a container the first process
//! often waits for none but its own children; so this process takes the orphans and waits for them.

use std::collections::HashSet;
use std::fs;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, set_child_subreaper, waitid, waitpid};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(10);

/// Makes this process the parent of the orphans among its descendants, for the rest of its life.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // Without it the orphans are init's, as everywhere.
        if set_child_subreaper(Some(rustix::process::getpid())).is_ok() {
            let _ = thread::Builder::new().name("reaper".into()).spawn(bury);
        }
    });
}

/// Waits for the orphan `id`, which has been killed, if it has become a child of this process.
pub(crate) fn wait_for(id: u32) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = waitpid(Some(id), WaitOptions::empty());
    }
}

/// Waits for children that nobody else in this process waits for: those that live in another session than it, for a
/// guest has made one of its own, and nothing that this process starts has.
fn bury() {
    let own = Stat::of("self").map(|stat| stat.session);
    loop {
        thread::sleep(PERIOD);
        // Whether there is any at all costs little to ask.
        let any = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if !matches!(waitid(WaitId::All, any), Ok(Some(_))) {
            continue;
        }
        for orphan in orphans(own) {
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
    }
}

fn orphans(own: Option<i32>) -> HashSet<Pid> {
    let parent = rustix::process::getpid().as_raw_pid();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stats = numbers.filter_map(|number| Some((number, Stat::of(&number.to_string())?)));
    stats
        .filter(|(_, stat)| stat.parent == parent && stat.state == 'Z' && Some(stat.session) != own)
        .filter_map(|(number, _)| Pid::from_raw(number))
        .collect()
}

/// What `/proc` says of a process. (Asking the system for the session fails where its leader is outside of this PID
/// namespace: it has no number here.)
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    parent: i32,
    session: i32,
}

impl Stat {
    fn of(process: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        Some(Self { state, parent, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{run, wait_until};
    use std::process::Command;
    use std::time::Instant;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text = "12 (a) b (c) Z 3 12 0 0 -1 4228108 0 0\n";
        assert_eq!(Stat::parse(text), Some(Stat { state: 'Z', parent: 3, session: 0 }));
        assert_eq!(Stat::parse("12 (a"), None);
    }

    #[test]
    fn orphans_are_buried_and_children_are_left_to_who_started_them() {
        start();
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        // Its parent ends at once, and it soon after.
        let orphan =
            run(Command::new("setsid").args(["sh", "-c", "sh -c 'sleep 0.2' >&- & echo $!"])).unwrap();
        let path = format!("/proc/{}", orphan.trim());
        let gone = wait_until(Instant::now() + Duration::from_secs(30), || fs::metadata(&path).is_err());
        assert!(gone, "{orphan} is left");
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}
