//! What a domain is and has: its state, sizes and document, and the calls that change them.

use super::{Domain, DomainInfo, DomainRef, SecurityLabel, Which};
use crate::error::{Result, bad_argument, check_exclusive, check_flags, error, must_not_be_zero};
use crate::node::Node;
use crate::numbers::{
    AFFECT_CONFIG, AFFECT_LIVE, MEM_MAXIMUM, VCPU_MAXIMUM, XML_INACTIVE, XML_MIGRATABLE, XML_SECURE,
};
use std::sync::Arc;
use virtwire_proto::enums::{DomainState, ErrorDomain, ErrorNumber};

/// What a domain is.
impl Node {
    /// What it is doing, and why: the reason's meaning depends on the state. C: `virDomainGetState`.
    ///
    /// # Errors
    /// Any flag.
    pub fn domain_state(&self, domain: &DomainRef, flags: u32) -> Result<(DomainState, i32)> {
        check_flags("virDomainGetState", flags, 0)?;
        self.read_domain(domain, |found| (found.state, found.reason))
    }

    /// Its state and sizes. C: `virDomainGetInfo`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_info(&self, domain: &DomainRef) -> Result<DomainInfo> {
        let cpu_time = u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX);
        self.read_domain(domain, |found| DomainInfo {
            state: found.state,
            max_mem: found.definition.memory,
            memory: found.definition.current_memory,
            nr_virt_cpu: u16::try_from(found.definition.vcpus).unwrap_or(u16::MAX),
            cpu_time,
        })
    }

    /// Its document. Passwords of graphics stand in it only with SECURE; INACTIVE asks for the configuration
    /// that stays. Who may ask with SECURE is up to the caller. C: `virDomainGetXMLDesc`, `virDomainXMLFlags`.
    ///
    /// # Errors
    /// An unknown flag.
    pub fn domain_xml_desc(&self, domain: &DomainRef, flags: u32) -> Result<String> {
        check_flags("virDomainGetXMLDesc", flags, XML_SECURE | XML_INACTIVE | XML_MIGRATABLE)?;
        let inactive = flags & XML_INACTIVE != 0;
        // Written without the lock: the definition is shared, not copied.
        let (definition, id) = self.read_domain(domain, |found| match inactive {
            true => (Arc::clone(found.get(Which::Config)), None),
            false => (Arc::clone(&found.definition), found.id),
        })?;
        Ok(definition.to_xml(id, flags & XML_SECURE != 0))
    }

    /// The host name of its guest: the domain's name with "host" after it. C: `virDomainGetHostname`.
    ///
    /// # Errors
    /// Any flag, or it is not active.
    pub fn domain_hostname(&self, domain: &DomainRef, flags: u32) -> Result<String> {
        check_flags("virDomainGetHostname", flags, 0)?;
        self.read_domain(domain, |found| {
            found.check_active()?;
            Ok(format!("{}host", found.definition.name))
        })?
    }

    /// The type of its operating system: always "linux", whatever its document says. C: `virDomainGetOSType`.
    #[must_use]
    pub fn domain_os_type(&self, _domain: &DomainRef) -> &'static str {
        "linux"
    }

    /// The label of its process. C: `virDomainGetSecurityLabel`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_security_label(&self, domain: &DomainRef) -> Result<SecurityLabel> {
        self.read_domain(domain, |found| match found.is_active() {
            true => SecurityLabel { label: "libvirt-test".to_owned(), enforcing: true },
            false => SecurityLabel { label: String::new(), enforcing: false },
        })
    }

    /// Whether it is active. C: `virDomainIsActive`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_is_active(&self, domain: &DomainRef) -> Result<bool> {
        self.read_domain(domain, Domain::is_active)
    }

    /// Whether a configuration of it stays when it stops. C: `virDomainIsPersistent`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_is_persistent(&self, domain: &DomainRef) -> Result<bool> {
        self.read_domain(domain, |found| found.persistent)
    }

    /// Whether it has changed since it started: never. C: `virDomainIsUpdated`.
    #[must_use]
    pub fn domain_is_updated(&self, _domain: &DomainRef) -> bool {
        false
    }

    /// Whether it is to start with the node. C: `virDomainGetAutostart`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_autostart(&self, domain: &DomainRef) -> Result<bool> {
        self.read_domain(domain, |found| found.autostart)
    }

    /// Sets whether it is to start with the node; nothing else follows. C: `virDomainSetAutostart`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_set_autostart(&self, domain: &DomainRef, autostart: bool) -> Result<()> {
        self.change_domain(domain, |found| {
            found.autostart = autostart;
            Ok(())
        })
    }
}

/// A domain's memory, in KiB.
impl Node {
    /// The most that it may have. C: `virDomainGetMaxMemory`.
    ///
    /// # Errors
    /// It is gone.
    pub fn domain_max_memory(&self, domain: &DomainRef) -> Result<u64> {
        self.read_domain(domain, |found| found.definition.memory)
    }

    /// Sets the most that a domain that is not active may have. C: `virDomainSetMaxMemory`.
    ///
    /// # Errors
    /// 0, or it is active.
    pub fn domain_set_max_memory(&self, domain: &DomainRef, memory: u64) -> Result<()> {
        self.set_memory("virDomainSetMaxMemory", domain, memory, MEM_MAXIMUM)
    }

    /// Sets what an active domain has. C: `virDomainSetMemory`.
    ///
    /// # Errors
    /// 0, more than it may have, or it is not active.
    pub fn domain_set_memory(&self, domain: &DomainRef, memory: u64) -> Result<()> {
        self.set_memory("virDomainSetMemory", domain, memory, AFFECT_LIVE)
    }

    /// Sets what it has, or with MAXIMUM what it may have, now (LIVE) or after its next start (CONFIG).
    /// C: `virDomainSetMemoryFlags`, `virDomainMemoryModFlags`.
    ///
    /// # Errors
    /// 0, an unknown flag, both LIVE and CONFIG, more than it may have, the maximum of an active domain, LIVE
    /// where it is not active, CONFIG where it is transient.
    pub fn domain_set_memory_flags(&self, domain: &DomainRef, memory: u64, flags: u32) -> Result<()> {
        self.set_memory("virDomainSetMemoryFlags", domain, memory, flags)
    }

    fn set_memory(&self, function: &str, domain: &DomainRef, memory: u64, flags: u32) -> Result<()> {
        if memory == 0 {
            return Err(must_not_be_zero(function, "memory"));
        }
        check_flags(function, flags, AFFECT_LIVE | AFFECT_CONFIG | MEM_MAXIMUM)?;
        let refuse = |message: &str| Err(error(ErrorDomain::TEST, ErrorNumber::OPERATION_INVALID, message));
        self.change_domain(domain, |found| {
            check_one_impact(function, flags)?;
            let which = found.which(flags)?;
            let definition = found.get(which);
            if flags & MEM_MAXIMUM == 0 {
                if memory > definition.memory {
                    let message = "cannot set memory higher than max memory";
                    return Err(error(ErrorDomain::TEST, ErrorNumber::INVALID_ARG, message));
                }
                found.get_mut(which).current_memory = memory;
                return Ok(());
            }
            if which == Which::Live {
                return refuse("cannot resize the maximum memory on an active domain");
            }
            if definition.has_numa_cells() {
                return refuse("the memory of a domain with NUMA cells is the sum of theirs");
            }
            if definition.max_memory > 0 && definition.max_memory < memory {
                return refuse("cannot set memory above what can be plugged in");
            }
            found.get_mut(which).set_memory(memory);
            Ok(())
        })
    }
}

/// A domain's vCPUs.
impl Node {
    /// How many an active domain may have. C: `virDomainGetMaxVcpus`.
    ///
    /// # Errors
    /// It is not active.
    pub fn domain_max_vcpus(&self, domain: &DomainRef) -> Result<u32> {
        self.domain_vcpus(domain, AFFECT_LIVE | VCPU_MAXIMUM)
    }

    /// How many it has, or with MAXIMUM may have, now (LIVE) or after its next start (CONFIG).
    /// C: `virDomainGetVcpusFlags`, `virDomainVcpuFlags`.
    ///
    /// # Errors
    /// An unknown flag, both LIVE and CONFIG, LIVE where it is not active, CONFIG where it is transient.
    pub fn domain_vcpus(&self, domain: &DomainRef, flags: u32) -> Result<u32> {
        const FUNCTION: &str = "virDomainGetVcpusFlags";
        check_exclusive(FUNCTION, flags, LIVE, CONFIG)?;
        check_flags(FUNCTION, flags, AFFECT_LIVE | AFFECT_CONFIG | VCPU_MAXIMUM)?;
        self.read_domain(domain, |found| {
            let definition = found.get(found.which(flags)?);
            Ok(if flags & VCPU_MAXIMUM != 0 { definition.max_vcpus } else { definition.vcpus })
        })?
    }

    /// Sets how many an active domain has. C: `virDomainSetVcpus`.
    ///
    /// # Errors
    /// As [`Node::domain_set_vcpus_flags`].
    pub fn domain_set_vcpus(&self, domain: &DomainRef, vcpus: u32) -> Result<()> {
        self.set_vcpus("virDomainSetVcpus", domain, vcpus, AFFECT_LIVE)
    }

    /// Sets how many it has, now (LIVE), after its next start (CONFIG) or both; with MAXIMUM, which needs
    /// CONFIG, how many it may have then. C: `virDomainSetVcpusFlags`, `virDomainVcpuFlags`.
    ///
    /// # Errors
    /// 0, more than it may have or than [`Node::MAX_VCPUS`], an unknown flag, MAXIMUM without CONFIG, LIVE where
    /// it is not active, CONFIG where it is transient.
    pub fn domain_set_vcpus_flags(&self, domain: &DomainRef, vcpus: u32, flags: u32) -> Result<()> {
        self.set_vcpus("virDomainSetVcpusFlags", domain, vcpus, flags)
    }

    fn set_vcpus(&self, function: &str, domain: &DomainRef, vcpus: u32, flags: u32) -> Result<()> {
        let maximum = flags & VCPU_MAXIMUM != 0;
        if maximum && flags & AFFECT_CONFIG == 0 {
            let message = format!("Flag '{}' is required by flag 'VIR_DOMAIN_VCPU_MAXIMUM'", CONFIG.1);
            return Err(bad_argument(ErrorDomain::DOMAIN, function, "ctl", message));
        }
        if vcpus == 0 {
            return Err(must_not_be_zero(function, "nvcpus"));
        }
        check_flags(function, flags, AFFECT_LIVE | AFFECT_CONFIG | VCPU_MAXIMUM)?;
        let too_many = |supported: &str, max: u32| {
            let message = format!("requested cpu amount exceeds maximum{supported} ({vcpus} > {max})");
            Err(error(ErrorDomain::TEST, ErrorNumber::INVALID_ARG, message))
        };
        if vcpus > Self::MAX_VCPUS {
            return too_many(" supported amount", Self::MAX_VCPUS);
        }
        self.change_domain(domain, |found| {
            let (live, config) = found.impact(flags)?;
            let affected = [(live, Which::Live), (config, Which::Config)];
            let affected: Vec<Which> = affected
                .into_iter()
                .filter(|&(is_affected, _)| is_affected)
                .map(|(_, which)| which)
                .collect();
            for &which in &affected {
                let max = found.get(which).max_vcpus;
                if vcpus > max && !(maximum && which == Which::Config) {
                    return too_many("", max);
                }
            }
            for which in affected {
                let definition = found.get_mut(which);
                if maximum && which == Which::Config {
                    definition.set_max_vcpus(vcpus);
                } else {
                    definition.set_vcpus(vcpus);
                }
            }
            Ok(())
        })
    }
}

pub(super) const LIVE: (u32, &str) = (AFFECT_LIVE, "VIR_DOMAIN_AFFECT_LIVE");
pub(super) const CONFIG: (u32, &str) = (AFFECT_CONFIG, "VIR_DOMAIN_AFFECT_CONFIG");

/// As [`check_exclusive`] for calls that find out only once they have the domain.
fn check_one_impact(function: &str, flags: u32) -> Result<()> {
    check_exclusive(function, flags, LIVE, CONFIG).map_err(|mut error| {
        error.str2 = Some("flags".to_owned());
        error
    })
}
