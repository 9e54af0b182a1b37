//! What a server allows its clients.

use virtwire_proto::connection::Keepalive;

/// What a server allows its clients. The defaults are libvirtd's where it has the same setting.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How many clients are served at once over all listeners; while there are that many, no further one is
    /// accepted. 5000.
    pub max_clients: usize,
    /// How many calls of one client are worked on at once; while there are that many, nothing more is taken
    /// from it. 5.
    pub max_client_requests: usize,
    /// How long a silent client is believed to live, once it has shown that it answers PINGs.
    pub keepalive: Keepalive,
    /// How many bytes may wait for a client before nothing more is taken from it. 4 MiB.
    ///
    /// Answers to the calls that it has made by then still come on top.
    pub max_waiting_output: usize,
    /// How many bytes of events may wait for a client. One that lets more wait is disconnected. 16 MiB.
    pub max_waiting_events: usize,
    /// How many bytes of one stream are held, in each direction: while more wait, a sender waits, or nothing
    /// more is taken from the client. 1 MiB.
    pub stream_window: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_clients: 5000,
            max_client_requests: 5,
            keepalive: Keepalive::default(),
            max_waiting_output: 4 << 20,
            max_waiting_events: 16 << 20,
            stream_window: 1 << 20,
        }
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this [`max_clients`](Self::max_clients).
    #[must_use]
    pub fn max_clients(mut self, max: usize) -> Self {
        self.max_clients = max;
        self
    }

    /// The same with this [`max_client_requests`](Self::max_client_requests).
    #[must_use]
    pub fn max_client_requests(mut self, max: usize) -> Self {
        self.max_client_requests = max;
        self
    }

    /// The same with this [`keepalive`](Self::keepalive). An interval of zero sends no PINGs.
    #[must_use]
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// The same with this [`max_waiting_output`](Self::max_waiting_output), in bytes.
    #[must_use]
    pub fn max_waiting_output(mut self, bytes: usize) -> Self {
        self.max_waiting_output = bytes;
        self
    }

    /// The same with this [`max_waiting_events`](Self::max_waiting_events), in bytes.
    #[must_use]
    pub fn max_waiting_events(mut self, bytes: usize) -> Self {
        self.max_waiting_events = bytes;
        self
    }

    /// The same with this [`stream_window`](Self::stream_window), in bytes.
    #[must_use]
    pub fn stream_window(mut self, bytes: usize) -> Self {
        self.stream_window = bytes;
        self
    }
}
