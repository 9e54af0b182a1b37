//! What libFuzzer says.

use std::path::PathBuf;
use std::time::Duration;

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    /// Whether nothing was found.
    pub(super) is_fine: bool,
    pub(super) executions: u64,
    /// How many edges of the code were passed.
    pub(super) edges: u64,
    /// How many edges, told apart by how often they were passed and what was compared.
    pub(super) features: u64,
    /// How many inputs it takes to reach all of them.
    pub(super) inputs: u64,
    pub(super) time: Duration,
    /// What was found: the first line of what a panic said, or libFuzzer's own word.
    pub(super) finding: Option<String>,
    /// The input that it was found with.
    pub(super) input: Option<PathBuf>,
    /// All that was said.
    pub(super) log: PathBuf,
}

impl Output {
    pub(super) fn read(text: &str, is_fine: bool, time: Duration, log: PathBuf) -> Self {
        let mut output = Self { is_fine, time, log, ..Self::default() };
        let mut panicked = None;
        let mut error = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                output.executions = number(count);
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                output.input = Some(path.into());
            } else if line.starts_with("thread '") && line.contains(" panicked at ") {
                let place = line.split_once(" panicked at ").map_or("", |(_, place)| place);
                panicked = panicked.or_else(|| Some(format!("{place} {}", lines.next().unwrap_or_default())));
            } else if let Some((_, what)) = line.split_once("ERROR: libFuzzer: ") {
                error = Some(format!("libFuzzer: {what}"));
            } else if line.starts_with('#') && line.contains("cov: ") {
                output.edges = field(line, "cov:");
                output.features = field(line, "ft:");
                output.inputs = field(line, "corp:");
                // Where it dies, there are no final statistics: the last line has at least so many.
                output.executions = output.executions.max(number(line.trim_start_matches('#')));
            }
        }
        output.finding = panicked.or(error);
        output
    }
}

/// The number that follows `name` in a line of progress: "cov: 123 ft: 45 corp: 6/78b".
fn field(line: &str, name: &str) -> u64 {
    let mut words = line.split_whitespace();
    words.find(|word| *word == name);
    words.next().map_or(0, number)
}

/// The number that a text begins with.
fn number(text: &str) -> u64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_finds_nothing() {
        let text = "INFO: seed corpus: files: 9 min: 14b max: 93b total: 500b rss: 29Mb\n\
                    #10\tINITED cov: 300 ft: 400 corp: 9/500b exec/s: 0 rss: 30Mb\n\
                    #99\tNEW    cov: 310 ft: 421 corp: 11/520b lim: 93 exec/s: 0 rss: 31Mb L: 20/93 MS: 1 EraseBytes-\n\
                    Done 1000 runs in 5 second(s)\n\
                    stat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     200\n";
        let output = Output::read(text, true, Duration::from_secs(5), "a.log".into());
        assert_eq!((output.executions, output.edges, output.features, output.inputs), (1000, 310, 421, 11));
        assert!(output.is_fine && output.finding.is_none() && output.input.is_none());
    }

    #[test]
    fn a_run_that_finds_something() {
        let text = "#968\tREDUCE cov: 10 ft: 12 corp: 3/11b lim: 11 exec/s: 0 rss: 27Mb L: 5/5 MS: 1 EraseBytes-\n\n\
                    thread '<unnamed>' (507) panicked at fuzz/src/text.rs:6:112:\n\
                    one is not the other\nstack backtrace:\n\
                    ==507== ERROR: libFuzzer: deadly signal\n\
                    artifact_prefix='fuzz/artifacts/uri/'; Test unit written to fuzz/artifacts/uri/crash-57\n";
        let output = Output::read(text, false, Duration::from_secs(1), "a.log".into());
        assert_eq!((output.executions, output.edges), (968, 10));
        assert_eq!(output.finding.as_deref(), Some("fuzz/src/text.rs:6:112: one is not the other"));
        assert_eq!(output.input, Some("fuzz/artifacts/uri/crash-57".into()));
    }

    #[test]
    fn a_run_that_takes_too_long() {
        let text = "ALARM: working on the last Unit for 11 seconds\n==5== ERROR: libFuzzer: timeout after 11 seconds\n";
        let output = Output::read(text, false, Duration::from_secs(11), "a.log".into());
        assert_eq!(output.finding.as_deref(), Some("libFuzzer: timeout after 11 seconds"));
    }
}
