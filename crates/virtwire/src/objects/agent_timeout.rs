//! How long a daemon waits for the agent in a guest.

use std::time::Duration;
use virtwire_proto::enums::DomainAgentResponseTimeout;

/// How long the daemon waits for the agent in a guest: a [`Duration`] is one, too.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use virtwire::AgentTimeout;
/// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
/// domain.agent_set_response_timeout(Duration::from_secs(20)).await?;
/// let shutdown = r#"{"execute": "guest-shutdown"}"#;
/// // It does not answer: it is gone.
/// domain.qemu_agent_command(shutdown, AgentTimeout::NoWait).await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virDomainAgentResponseTimeoutValues")]
#[doc(alias = "virDomainQemuAgentCommandTimeoutValues")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AgentTimeout {
    /// As long as it takes.
    #[doc(alias = "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK")]
    #[doc(alias = "VIR_DOMAIN_QEMU_AGENT_COMMAND_BLOCK")]
    Forever,
    /// As long as the daemon thinks right: 5 seconds.
    #[doc(alias = "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_DEFAULT")]
    #[doc(alias = "VIR_DOMAIN_QEMU_AGENT_COMMAND_DEFAULT")]
    #[default]
    Default,
    /// Not at all: it is asked, and the call answered at once.
    #[doc(alias = "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_NOWAIT")]
    #[doc(alias = "VIR_DOMAIN_QEMU_AGENT_COMMAND_NOWAIT")]
    NoWait,
    /// So long: in whole seconds, rounded up.
    After(Duration),
}

impl AgentTimeout {
    /// The wire's number: of seconds, or of what is none.
    pub(super) fn seconds(self) -> i32 {
        match self {
            Self::Forever => DomainAgentResponseTimeout::BLOCK.0,
            Self::Default => DomainAgentResponseTimeout::DEFAULT.0,
            Self::NoWait => DomainAgentResponseTimeout::NOWAIT.0,
            Self::After(duration) => {
                let whole = duration.as_secs().saturating_add((duration.subsec_nanos() > 0).into());
                i32::try_from(whole).unwrap_or(i32::MAX)
            }
        }
    }
}

impl From<Duration> for AgentTimeout {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::AgentTimeout;
    use std::time::Duration;
    use virtwire_proto::enums::DomainQemuAgentCommandTimeout;

    #[test]
    fn both_calls_mean_the_same_by_their_numbers() {
        for (timeout, number) in [
            (AgentTimeout::Forever, DomainQemuAgentCommandTimeout::BLOCK),
            (AgentTimeout::Default, DomainQemuAgentCommandTimeout::DEFAULT),
            (AgentTimeout::NoWait, DomainQemuAgentCommandTimeout::NOWAIT),
            (Duration::from_secs(60).into(), DomainQemuAgentCommandTimeout::SHUTDOWN),
        ] {
            assert_eq!(timeout.seconds(), number.0);
        }
    }

    #[test]
    fn a_part_of_a_second_is_no_other_meaning() {
        assert_eq!(AgentTimeout::from(Duration::from_millis(1)).seconds(), 1);
        assert_eq!(AgentTimeout::from(Duration::from_millis(2_001)).seconds(), 3);
        assert_eq!(AgentTimeout::from(Duration::MAX).seconds(), i32::MAX);
    }
}
