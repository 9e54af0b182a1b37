//! ANONYMOUS (RFC 4505): nobody in particular.

use super::{Mechanism, MechanismError, Setting};

/// How long the trace may be, in characters.
const MOST: usize = 255;

pub(super) struct Anonymous {
    /// What the daemon may write into its log: nothing that anybody relies on.
    trace: Option<String>,
}

impl Anonymous {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        let trace = setting.credentials.name().unwrap_or("anonymous");
        Self { trace: Some(trace.chars().take(MOST).collect()) }
    }

    fn say(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        let trace = self.trace.take().ok_or_else(MechanismError::one_more)?;
        Ok(Some(trace.into_bytes()))
    }
}

impl Mechanism for Anonymous {
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn step(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn done(&self) -> bool {
        self.trace.is_none()
    }
}
