//! Which events were seen, and why the others were not.

use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use virtwire::enums::DomainEventId;
use virtwire::{Connection, Domain, DomainEvent, Subscription};
use virtwire_testbed::{Failed, Version};

const LIMIT: Duration = Duration::from_secs(40);

/// What no test can make a real daemon tell; scripted daemons do, in `event_classes.rs`.
const UNSEEN: [(DomainEventId, &str); 5] = [
    (DomainEventId::CONTROL_ERROR, "needs a QEMU that breaks the protocol of its own monitor"),
    (DomainEventId::MEMORY_FAILURE, "needs KVM and memory of the host's that fails"),
    (DomainEventId::MEMORY_DEVICE_SIZE_CHANGE, "needs a driver for virtio-mem in the guest"),
    (DomainEventId::NIC_MAC_CHANGE, "needs a driver for virtio-net in the guest"),
    (
        DomainEventId::VCPU_REMOVED,
        "needs KVM: QEMU keeps a processor that it emulates, even when the guest ejects it",
    ),
];

/// Since when some are there.
const SINCE: [(DomainEventId, Version); 3] = [
    (DomainEventId::NIC_MAC_CHANGE, Version(11, 2, 0)),
    (DomainEventId::VCPU_REMOVED, Version(12, 4, 0)),
    (DomainEventId::CHANNEL_LIFECYCLE, Version(12, 4, 0)),
];

/// All events of all domains.
pub(crate) struct Watch {
    version: Version,
    domain: Option<Domain>,
    events: Subscription<DomainEvent>,
    /// Came, and nothing has asked for them yet.
    waiting: Vec<DomainEvent>,
    seen: Vec<DomainEventId>,
}

impl Watch {
    pub(crate) async fn begin(connection: &Connection, version: Version) -> Result<Self, Failed> {
        let ids = DomainEventId::known().filter(|id| since(*id).is_none_or(|since| version >= since));
        let events = connection.domain_events(ids.collect::<Vec<_>>()).await?;
        // A daemon refuses what it does not know, and nothing is left of the subscription.
        if version < Version(12, 4, 0) {
            let all: Vec<_> = DomainEventId::known().collect();
            assert!(connection.domain_events(all).await.unwrap_err().libvirt().is_some());
        }
        Ok(Self { version, domain: None, events, waiting: Vec::new(), seen: Vec::new() })
    }

    /// All events from here on are to be this domain's.
    pub(crate) fn of(&mut self, domain: &Domain) {
        self.domain = Some(domain.clone());
    }

    pub(crate) fn has(&self, id: DomainEventId) -> bool {
        since(id).is_none_or(|since| self.version >= since)
    }

    /// The first event that is wanted, among those that nobody has asked for yet and those to come.
    pub(crate) async fn wants<T>(
        &mut self,
        what: impl fmt::Display,
        wanted: impl Fn(&DomainEvent) -> Option<T>,
    ) -> Result<T, Failed> {
        let deadline = Instant::now() + LIMIT;
        for at in 0..self.waiting.len() {
            if let Some(found) = wanted(&self.waiting[at]) {
                self.waiting.remove(at);
                return Ok(found);
            }
        }
        loop {
            let event = match timeout_at(deadline, self.events.next()).await {
                Ok(event) => event.ok_or("the events' end")??,
                Err(_) => return Err(format!("no {what}; there are {:#?}", self.waiting).into()),
            };
            if let (Some(domain), Some(of)) = (&self.domain, event.domain()) {
                assert_eq!(of, domain, "{event:?}");
            }
            let id = event.id().ok_or_else(|| format!("an event without a form: {event:?}"))?;
            if !self.seen.contains(&id) {
                self.seen.push(id);
            }
            match wanted(&event) {
                Some(found) => return Ok(found),
                None => self.waiting.push(event),
            }
        }
    }

    /// What nobody has asked for so far is of no interest.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Prints which were seen, and fails where one is missing without a reason.
    pub(crate) fn end(&self) -> Result<(), Failed> {
        println!("\nevents of domains, libvirt {}", self.version);
        let mut missing = Vec::new();
        for id in DomainEventId::known() {
            let reason = UNSEEN.iter().find(|(unseen, _)| *unseen == id).map(|(_, reason)| *reason);
            let said = match (self.seen.contains(&id), since(id), reason) {
                (true, _, None) => "seen".to_owned(),
                (true, _, Some(_)) => return Err(format!("{id} was seen after all").into()),
                (false, Some(since), _) if self.version < since => format!("since libvirt {since}"),
                (false, _, Some(reason)) => reason.to_owned(),
                (false, _, None) => {
                    missing.push(id);
                    "MISSING".to_owned()
                }
            };
            println!("{:>3} {:<26} {said}", id.0, id.to_string());
        }
        if missing.is_empty() { Ok(()) } else { Err(format!("not seen: {missing:?}").into()) }
    }
}

fn since(id: DomainEventId) -> Option<Version> {
    SINCE.iter().find(|(of, _)| *of == id).map(|(_, since)| *since)
}
