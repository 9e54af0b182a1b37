//! Whether the peer still lives: PINGs into its silence, and the moment at which it counts as dead.

use super::{CloseReason, Time};
use core::time::Duration;

/// How long a silent peer is believed to live.
///
/// After `interval` without a byte a PING is sent, and again after each further one; after
/// `interval × (count + 1)` the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// How long a silence is before a PING is sent into it. libvirt's default is 5 seconds.
    pub interval: Duration,
    /// How many PINGs may stay unanswered. libvirt's default is 5.
    pub count: u32,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), count: 5 }
    }
}

/// What is to be done at a deadline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    Dead(CloseReason),
}

/// The state of one side.
#[derive(Debug)]
pub(super) struct Heartbeat {
    settings: Option<Keepalive>,
    /// When the peer was last heard.
    heard: Time,
    /// When something is to be done, unless the peer is heard before.
    next: Time,
    unanswered: u32,
    /// Whether what the peer sends is read and taken. While it is not, its silence says nothing.
    listening: bool,
}

impl Heartbeat {
    pub(super) fn new(now: Time) -> Self {
        Self { settings: None, heard: now, next: now, unanswered: 0, listening: true }
    }

    pub(super) fn start(&mut self, settings: Keepalive, now: Time) {
        self.settings = (!settings.interval.is_zero()).then_some(settings);
        self.heard(now);
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
        self.unanswered = 0;
        if let Some(settings) = self.settings {
            self.next = now + settings.interval;
        }
    }

    pub(super) fn last_heard(&self) -> Time {
        self.heard
    }

    pub(super) fn set_listening(&mut self, listening: bool, now: Time) {
        if listening && !self.listening {
            self.heard(now);
        }
        self.listening = listening;
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.settings.map(|_| self.next)
    }

    pub(super) fn timeout(&mut self, now: Time) -> Due {
        let Some(settings) = self.settings else { return Due::Nothing };
        if now < self.next {
            return Due::Nothing;
        }
        if self.unanswered >= settings.count && self.listening {
            return Due::Dead(CloseReason::Keepalive {
                silence: now - self.heard,
                unanswered: self.unanswered,
            });
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.next = now + settings.interval;
        Due::Ping
    }
}
