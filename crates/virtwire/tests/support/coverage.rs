//! Which methods of the objects have run on a real daemon, and what is said of those that have not.

use crate::source::{OBJECTS, methods};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use virtwire::{Error, Result};

/// Runs a method of an object and notes how it went: `run!(log, domain.info())`. One that no task of its own could run
/// does not compile here.
macro_rules! run {
    ($log:expr, $object:ident . $method:ident ( $($argument:expr),* $(,)? )) => {{
        let result = crate::coverage::in_any_task($object.$method($($argument),*)).await;
        $log.note(&$object, stringify!($method), &result);
        result
    }};
}
pub(crate) use run;

pub(crate) fn in_any_task<F: Future + Send>(method: F) -> F {
    method
}

/// How methods went, by object and name.
#[derive(Debug)]
pub(crate) struct Log {
    outcomes: Mutex<BTreeMap<(String, String), Outcome>>,
}

/// How a method went, from what says most to what says least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The daemon did what was asked.
    Done,
    /// The daemon refused; this is what it said.
    Refused(String),
    /// It is newer than the daemon.
    Newer(String),
    /// The daemon's driver does not have it.
    NoSupport,
}

impl Log {
    /// One in which nothing has run.
    pub(crate) const fn new() -> Self {
        Self { outcomes: Mutex::new(BTreeMap::new()) }
    }

    /// Notes a result. What has been done once is done; of refusals, the one that says most is kept.
    pub(crate) fn note<O, T>(&self, _: &O, method: &str, result: &Result<T>) {
        let object = std::any::type_name::<O>().rsplit("::").next().unwrap_or_default().to_owned();
        let outcome = match result {
            Ok(_) => Outcome::Done,
            Err(Error::Unsupported { since, .. }) => {
                Outcome::Newer(since.map(|since| since.to_string()).unwrap_or_default())
            }
            Err(error @ Error::Libvirt(_)) if error.is_unsupported() => Outcome::NoSupport,
            Err(error @ Error::Libvirt(_)) => Outcome::Refused(error.to_string()),
            // Nothing that a daemon answers: the method itself is broken.
            Err(error) => panic!("{object}::{method}: {error}"),
        };
        let mut outcomes = self.outcomes.lock().unwrap();
        let entry = outcomes.entry((object, method.to_owned())).or_insert_with(|| outcome.clone());
        *entry = entry.clone().min(outcome);
    }

    /// What has run of what there is, object by object. Fails where a method has neither run nor a reason not to, or
    /// has a reason and ran nevertheless.
    pub(crate) fn report(&self, reasons: &[(&str, &str)]) -> std::result::Result<String, String> {
        let outcomes = self.outcomes.lock().unwrap();
        let mut report = String::new();
        let mut wrong = Vec::new();
        let (mut done_in_all, mut in_all) = (0, 0);
        let methods = methods();
        for object in OBJECTS {
            let (mut newer, mut lacking) = (Vec::new(), Vec::new());
            let (mut refused, mut left) = (Vec::new(), Vec::new());
            let (mut done, mut all) = (0, 0);
            for method in methods.iter().filter(|method| method.object == object) {
                all += 1;
                let name = format!("{object}::{}", method.name);
                let reason = reasons.iter().find(|(of, _)| *of == name);
                match (outcomes.get(&(object.to_owned(), method.name.clone())), reason) {
                    (Some(Outcome::Done), None) => done += 1,
                    (Some(Outcome::Newer(since)), None) => newer.push(format!("{} ({since})", method.name)),
                    (Some(Outcome::NoSupport), None) => lacking.push(method.name.clone()),
                    (Some(Outcome::Refused(why)), None) => refused.push(format!("{}: {why}", method.name)),
                    (None, Some((_, why))) => left.push(format!("{}: {why}", method.name)),
                    (None, None) => wrong.push(format!("{name} has not run, and no reason is given")),
                    (Some(_), Some(_)) => wrong.push(format!("{name} has run: it needs no reason")),
                }
            }
            let _ = writeln!(report, "{object}: {done} of {all} methods have run on a real daemon");
            for (what, list) in [("newer than the daemon", newer), ("the driver has none of", lacking)] {
                if !list.is_empty() {
                    let _ = writeln!(report, "    {what}: {}", list.join(", "));
                }
            }
            for (what, list) in [("refused", refused), ("not run", left)] {
                for line in list {
                    let _ = writeln!(report, "    {what}: {line}");
                }
            }
            done_in_all += done;
            in_all += all;
        }
        let known =
            |name: &str| methods.iter().any(|method| format!("{}::{}", method.object, method.name) == name);
        wrong.extend(
            reasons.iter().filter(|(name, _)| !known(name)).map(|(name, _)| format!("no method {name}")),
        );
        let _ = writeln!(report, "in all: {done_in_all} of {in_all}");
        if wrong.is_empty() { Ok(report) } else { Err(format!("{report}\n{}", wrong.join("\n"))) }
    }
}
