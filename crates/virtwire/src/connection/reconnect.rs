//! Reconnection: a connection that outlasts its links, and what it tells of them.

use super::opening::Opened;
use super::source::Source;
use crate::driver::{Attempt, Boxed, LinkWatch, Lost, Reopen};
use crate::trace;
use crate::{Connection, Error, Result};
use futures_core::Stream;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use virtwire_proto::connection::CloseReason;
use virtwire_proto::xdr::Text;

/// How long an attempt may take where the connection's settings do not say.
const MOST_AN_ATTEMPT: Duration = Duration::from_secs(30);
/// How often in a row a daemon may refuse to let this client in.
const MOST_REFUSALS: u32 = 3;

/// How a connection that is lost is opened again: see [`Builder::reconnect`](crate::Builder::reconnect).
///
/// The first attempt comes after a short delay, and each further one after twice the delay of the one before, up to a
/// longest one; all of them vary by chance, so that many clients of one daemon do not come at once. They go on until
/// one succeeds, unless a limit is set.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use virtwire::Reconnect;
///
/// let reconnect = Reconnect::new().max_delay(Duration::from_secs(10)).give_up_after(Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Reconnect {
    initial_delay: Duration,
    max_delay: Duration,
    jitter: f64,
    max_attempts: Option<u32>,
    give_up_after: Option<Duration>,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            jitter: 0.25,
            max_attempts: None,
            give_up_after: None,
        }
    }
}

impl Reconnect {
    /// As often as it takes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the delay before the first attempt. Otherwise it is 100 milliseconds.
    ///
    /// Where a new link is lost sooner than after [`max_delay`](Self::max_delay), delays go on growing from where they
    /// were.
    pub fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = delay;
        self
    }

    /// Sets the longest delay between attempts. Otherwise it is 30 seconds.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets by which part of itself each delay may be shorter or longer: from 0, not at all, to 1. Otherwise it is a
    /// quarter.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Gives up after this many attempts without success. Otherwise it never does.
    pub fn max_attempts(mut self, max: u32) -> Self {
        self.max_attempts = Some(max);
        self
    }

    /// Gives up where no attempt has succeeded for so long since the loss. Otherwise it never does.
    pub fn give_up_after(mut self, limit: Duration) -> Self {
        self.give_up_after = Some(limit);
        self
    }

    /// How long to wait where so many delays were waited for before.
    fn delay(&self, before: u32) -> Duration {
        let doubled = self.initial_delay.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX));
        let delay = doubled.min(self.max_delay);
        delay.mul_f64(1.0 + self.jitter * (2.0 * chance() - 1.0))
    }
}

/// A number from 0 to 1, by chance.
fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// A time without a link: events in it, if there were any, are missing from a subscription.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// Why the link was lost.
    pub reason: CloseReason,
    /// When this side knew of it.
    pub lost_at: SystemTime,
    /// How long it was then until the daemon had registered for the events again.
    pub outage: Duration,
    /// The how manieth of the connection's links has been found in place of a lost one: from 1.
    pub reopening: u64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, outage, reopening, .. } = self;
        write!(
            f,
            "events may be missing: the link was lost ({reason}), and number {reopening} in its place was "
        )?;
        write!(f, "there after {outage:?}")
    }
}

/// What has happened to a connection's link: see [`Connection::link_events`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkEvent {
    /// It is lost. Another one is looked for.
    Lost {
        /// Why.
        reason: CloseReason,
    },
    /// An attempt to open it again has failed.
    Failed {
        /// The how manieth since the loss, from 1.
        attempt: u32,
        /// Why.
        error: Arc<Error>,
        /// When the next one comes; `None` where there is none, and the connection ends.
        retry_after: Option<Duration>,
    },
    /// It is open again, and subscriptions are registered again.
    Restored {
        /// How long it was not.
        outage: Duration,
        /// The how manieth time that was, from 1.
        reopening: u64,
    },
}

/// The changes of a connection's link, as a [`Stream`] that ends with the connection. The last 64 are kept for a
/// consumer that is slower. It does not keep the connection alive.
#[derive(Debug)]
pub struct LinkEvents(LinkWatch);

impl LinkEvents {
    /// The next change; `None` once the connection has ended. Dropping what this gives loses nothing.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        poll_fn(|cx| self.0.poll_next(cx)).await
    }
}

impl Stream for LinkEvents {
    type Item = LinkEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LinkEvent>> {
        self.0.poll_next(cx)
    }
}

impl Connection {
    /// Tells from now on when the link is lost and opened again, where the connection
    /// [reconnects](crate::Builder::reconnect).
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) {
    /// let mut changes = connection.link_events();
    /// tokio::spawn(async move {
    ///     while let Some(change) = changes.next().await {
    ///         println!("{change:?}");
    ///     }
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn link_events(&self) -> LinkEvents {
        LinkEvents(self.shared().watch_link())
    }

    /// Whether calls can be sent now: not while a link that was lost is looked for again, and not behind the end.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.shared().has_link()
    }

    /// How often a link that was lost has been opened again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared().reopened()
    }
}

/// What is known of the daemon on the link that there is.
#[derive(Debug)]
pub(super) struct Current(Mutex<Arc<Opened>>);

impl Current {
    pub(super) fn new(opened: Opened) -> Self {
        Self(Mutex::new(Arc::new(opened)))
    }

    pub(super) fn get(&self) -> Arc<Opened> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, opened: Opened) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(opened);
    }
}

/// Opens a connection again.
#[derive(Debug)]
pub(super) struct Reopener {
    source: Arc<Source>,
    uri: Text,
    current: Arc<Current>,
    settings: Reconnect,
    pace: Mutex<Pace>,
}

/// How long to wait before the next attempt.
#[derive(Debug)]
struct Pace {
    /// How many delays were waited for since a link has lasted.
    delays: u32,
    /// When the last link was opened.
    opened: Instant,
}

impl Reopener {
    pub(super) fn new(source: Arc<Source>, uri: Text, current: Arc<Current>, settings: Reconnect) -> Self {
        let pace = Mutex::new(Pace { delays: 0, opened: Instant::now() });
        Self { source, uri, current, settings, pace }
    }

    async fn run(&self, mut lost: Lost) {
        let began = Instant::now();
        let deadline = self.settings.give_up_after.map(|limit| began + limit);
        {
            let mut pace = self.pace();
            if pace.opened.elapsed() >= self.settings.max_delay {
                pace.delays = 0;
            }
        }
        let mut delay = self.next_delay();
        let mut refusals = 0;
        for attempt in 1.. {
            tokio::time::sleep(delay).await;
            let error = match self.attempt(&mut lost).await {
                Ok(()) => {
                    self.pace().opened = Instant::now();
                    trace::restored(&self.uri, attempt);
                    return;
                }
                Err(error) => error,
            };
            refusals = if matches!(error, Error::Authentication(_)) { refusals + 1 } else { 0 };
            // Whoever is not let in shall not come often: accounts are locked for that.
            delay = if refusals > 0 { self.settings.max_delay } else { self.next_delay() };
            let over = matches!(error, Error::UnsupportedTransport { .. })
                || refusals >= MOST_REFUSALS
                || self.settings.max_attempts.is_some_and(|max| attempt >= max)
                || deadline.is_some_and(|deadline| Instant::now() + delay >= deadline);
            let retry_after = (!over).then_some(delay);
            trace::attempt_failed(attempt, &error, retry_after);
            let error = Arc::new(error);
            lost.tell(&LinkEvent::Failed { attempt, error: Arc::clone(&error), retry_after });
            if over {
                let plural = if attempt == 1 { "attempt" } else { "attempts" };
                let reason = format!(
                    "{}; {attempt} {plural} to open it again failed, the last with: {error}",
                    lost.reason()
                );
                return lost.give_up(CloseReason::Transport(reason));
            }
        }
    }

    async fn attempt(&self, lost: &mut Lost) -> Result<()> {
        let after = self.source.builder.connect_timeout.unwrap_or(MOST_AN_ATTEMPT);
        let limited = tokio::time::timeout(after, async {
            let transport = self.source.connect().await?;
            let attempt = lost.attach(transport);
            self.open(attempt).await
        });
        match limited.await {
            Ok(result) => result,
            Err(_) => {
                Err(Error::Timeout { during: format!("opening {:?} again", self.source.builder.uri), after })
            }
        }
    }

    async fn open(&self, attempt: Attempt<'_>) -> Result<()> {
        let opened = self.source.speak(attempt.shared(), Some(&self.uri)).await?;
        self.current.set(opened);
        attempt.renew().await?;
        attempt.open()
    }

    fn next_delay(&self) -> Duration {
        let mut pace = self.pace();
        let delay = self.settings.delay(pace.delays);
        pace.delays = pace.delays.saturating_add(1);
        delay
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reopen for Reopener {
    fn reopen(self: Arc<Self>, lost: Lost) -> Boxed<'static, ()> {
        Box::pin(async move { self.run(lost).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let settings = Reconnect::new()
            .initial_delay(Duration::from_millis(100))
            .max_delay(Duration::from_secs(1))
            .jitter(0.0);
        let delays: Vec<_> = (0..6).map(|before| settings.delay(before).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(settings.delay(u32::MAX), Duration::from_secs(1));
    }

    #[test]
    fn delays_vary_within_their_part() {
        let settings = Reconnect::new().initial_delay(Duration::from_secs(1)).jitter(0.5);
        let delays: Vec<_> = (0..100).map(|_| settings.delay(0)).collect();
        assert!(delays.iter().all(|delay| (500..=1500).contains(&delay.as_millis())), "{delays:?}");
        assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
        // Nonsense is none.
        assert_eq!(Reconnect::new().jitter(f64::NAN).jitter, 0.0);
        assert_eq!(Reconnect::new().jitter(7.0).jitter, 1.0);
    }
}
