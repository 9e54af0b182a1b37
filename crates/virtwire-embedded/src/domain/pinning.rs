//! On which CPUs of the host a domain's vCPUs run.

use super::cpu_set::CpuSet;
use super::settings::{CONFIG, LIVE};
use super::{Definition, DomainRef};
use crate::error::{Result, bad_argument, check_exclusive, check_flags, error};
use crate::node::Node;
use crate::xml::{Element, Node as XmlNode};
use std::collections::BTreeMap;
use std::sync::Arc;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber, VcpuState};

/// What a vCPU is doing. C: `virVcpuInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VcpuInfo {
    /// Its number, from 0.
    pub number: u32,
    /// What it is doing: it runs.
    pub state: VcpuState,
    /// How long it has run: made up from the time of the node's clock.
    pub cpu_time: u64,
    /// The CPU that it runs on: the last that it may run on.
    pub cpu: i32,
    /// The CPUs that it may run on.
    cpus: Arc<CpuSet>,
}

impl VcpuInfo {
    /// The CPUs that it may run on: a bit each, the lowest first, in `len` bytes.
    #[must_use]
    pub fn cpu_map(&self, len: usize) -> Vec<u8> {
        self.cpus.to_bytes(len)
    }
}

/// The parts of `cputune` that libvirt writes before `vcpupin`.
const BEFORE_PINS: &[&str] = &[
    "shares",
    "period",
    "quota",
    "global_period",
    "global_quota",
    "emulator_period",
    "emulator_quota",
    "iothread_period",
    "iothread_quota",
];

/// Where a domain's vCPUs run.
impl Node {
    /// Its vCPUs, the first `max` of them. C: `virDomainGetVcpus`.
    ///
    /// # Errors
    /// It is not active.
    pub fn domain_vcpu_infos(&self, domain: &DomainRef, max: usize) -> Result<Vec<VcpuInfo>> {
        let definition = self.read_domain(domain, |found| match found.is_active() {
            true => Ok(Arc::clone(&found.definition)),
            false => Err(error(
                ErrorDomain::TEST,
                ErrorNumber::OPERATION_INVALID,
                "cannot list vcpus for an inactive domain",
            )),
        })??;
        let cpu_time = u64::try_from(self.now().as_micros() / 10).unwrap_or(u64::MAX);
        let cpus = self.cpus_of(&definition);
        let info = |number| {
            let cpus = cpus.of(number);
            let cpu = cpus.last().map_or(-1, i32::from);
            VcpuInfo { number, state: VcpuState::RUNNING, cpu_time, cpu, cpus }
        };
        Ok((0..definition.vcpus).take(max).map(info).collect())
    }

    /// Says on which CPUs one of an active domain's vCPUs may run: a bit each, the lowest first.
    /// C: `virDomainPinVcpu`, `virDomainPinVcpuFlags`.
    ///
    /// # Errors
    /// Any flag, no CPUs, there is no such vCPU, or the domain is not active.
    pub fn domain_pin_vcpu(&self, domain: &DomainRef, vcpu: u32, cpu_map: &[u8], flags: u32) -> Result<()> {
        const FUNCTION: &str = "virDomainPinVcpuFlags";
        if cpu_map.is_empty() {
            let message = format!("maplen in {FUNCTION} must be greater than zero");
            return Err(bad_argument(ErrorDomain::DOMAIN, FUNCTION, "maplen", message));
        }
        check_flags(FUNCTION, flags, 0)?;
        let cpus = CpuSet::from_bytes(cpu_map);
        self.change_domain(domain, |found| {
            if !found.is_active() {
                let message = "cannot pin vcpus on an inactive domain";
                return Err(error(ErrorDomain::TEST, ErrorNumber::OPERATION_INVALID, message));
            }
            if vcpu >= found.definition.vcpus {
                let message = format!("requested vcpu '{vcpu}' is not present in the domain");
                return Err(error(ErrorDomain::TEST, ErrorNumber::INVALID_ARG, message));
            }
            Arc::make_mut(&mut found.definition).pin(vcpu, &cpus);
            Ok(())
        })
    }

    /// The CPUs that each of the first `max` vCPUs may run on, those that are not there yet included: a bit each,
    /// the lowest first, in `len` bytes. C: `virDomainGetVcpuPinInfo`, `virDomainModificationImpact`.
    ///
    /// # Errors
    /// Both LIVE and CONFIG, LIVE where it is not active, CONFIG where it is transient.
    pub fn domain_vcpu_pin_info(
        &self,
        domain: &DomainRef,
        max: usize,
        len: usize,
        flags: u32,
    ) -> Result<Vec<Vec<u8>>> {
        check_exclusive("virDomainGetVcpuPinInfo", flags, LIVE, CONFIG)?;
        let definition =
            self.read_domain(domain, |found| Ok(Arc::clone(found.get(found.which(flags)?))))??;
        let cpus = self.cpus_of(&definition);
        Ok((0..definition.max_vcpus).take(max).map(|vcpu| cpus.of(vcpu).to_bytes(len)).collect())
    }

    fn cpus_of<'a>(&self, definition: &'a Definition) -> Cpus<'a> {
        let all = || {
            let info = self.info();
            let cpus = [info.sockets, info.cores, info.threads].into_iter();
            CpuSet::first(cpus.fold(info.nodes, u32::saturating_mul))
        };
        let otherwise = Arc::new(definition.cpus().unwrap_or_else(all));
        Cpus { pins: definition.pins(), otherwise }
    }
}

/// The CPUs of a domain's vCPUs.
struct Cpus<'a> {
    /// Those of single vCPUs, as the document writes them.
    pins: BTreeMap<u32, &'a str>,
    otherwise: Arc<CpuSet>,
}

impl Cpus<'_> {
    fn of(&self, vcpu: u32) -> Arc<CpuSet> {
        let own = self.pins.get(&vcpu).and_then(|pin| CpuSet::parse(pin));
        own.map_or_else(|| Arc::clone(&self.otherwise), Arc::new)
    }
}

impl Definition {
    /// The vCPUs that have CPUs of their own, and these.
    fn pins(&self) -> BTreeMap<u32, &str> {
        let tune = self.part("cputune").into_iter().flat_map(Element::elements);
        tune.filter_map(|pin| Some((pinned(pin)?, pin.attribute("cpuset")?))).collect()
    }

    /// Gives a vCPU CPUs of its own.
    fn pin(&mut self, vcpu: u32, cpus: &CpuSet) {
        let tune = self.part_mut("cputune");
        let is_own = |child: &XmlNode| child.as_element().and_then(pinned) == Some(vcpu);
        tune.children.retain(|child| !is_own(child));
        let follows = |child: &XmlNode| {
            child.as_element().is_some_and(|element| match pinned(element) {
                Some(other) => other > vcpu,
                None => !BEFORE_PINS.contains(&&*element.name),
            })
        };
        let at = tune.children.iter().position(follows).unwrap_or(tune.children.len());
        let pin = Element::new("vcpupin").with("vcpu", &vcpu.to_string()).with("cpuset", &cpus.to_string());
        tune.children.insert(at, pin.into());
    }
}

/// Which vCPU an element of `cputune` is about.
fn pinned(element: &Element) -> Option<u32> {
    (element.name == "vcpupin").then(|| element.attribute("vcpu")?.trim().parse().ok())?
}
