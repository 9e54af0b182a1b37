//! What is measured of this process, and how it is told: a line `name value` each.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// Time on the clock and on the processor, from its making on.
pub(crate) struct Watch {
    started: Instant,
    processor: Duration,
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { processor: processor_time()?, started: Instant::now() })
    }

    /// Tells the rate of `count` things done since the start, and the processor time of each.
    pub(crate) fn tell_rate(&self, count: usize) -> Result<()> {
        let elapsed = self.started.elapsed().as_secs_f64();
        let processor = (processor_time()? - self.processor).as_secs_f64();
        tell("rate", count as f64 / elapsed);
        tell("cpu", processor / count as f64);
        Ok(())
    }

    /// Tells how long it has been.
    pub(crate) fn tell_seconds(&self) {
        tell("seconds", self.started.elapsed().as_secs_f64());
    }
}

/// What this process's threads have used up; none of them ends while it is measured.
fn processor_time() -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task").context("/proc/self/task")? {
        let file = thread?.path().join("schedstat");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let spent = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
        nanoseconds += spent.with_context(|| format!("no number in {}", file.display()))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

pub(crate) fn tell(name: &str, value: f64) {
    println!("{name} {value:e}");
}

/// Tells the median of durations.
pub(crate) fn tell_median(mut durations: Vec<Duration>) {
    durations.sort_unstable();
    if let Some(median) = durations.get(durations.len() / 2) {
        tell("seconds", median.as_secs_f64());
    }
}

/// The memory that this process has in use, in bytes.
pub(crate) fn memory() -> Result<f64> {
    // Unlike VmRSS of `status`, this is counted when it is asked for.
    Ok(number_in("/proc/self/smaps_rollup", "Rss")? * 1024.0)
}

/// How many threads this process has.
pub(crate) fn threads() -> Result<f64> {
    number_in("/proc/self/status", "Threads")
}

fn number_in(file: &str, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no {name} in {file}"))
}
