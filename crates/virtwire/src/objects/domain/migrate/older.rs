//! Protocols 1 and 2, for daemons before libvirt 0.9.2: prepare, perform, finish.

use super::course::Course;
use super::plain::Plain;
use super::{Cookie, Domain, SOURCE_ONLY, step};
use crate::error::MigrationError;
use crate::{Connection, Result};
use virtwire_proto::enums::{DomainState, DriverFeature};
use virtwire_proto::flags::{DomainMigrateFlags, DomainXmlFlags};
use virtwire_proto::program::remote::{self, NonnullDomain};
use virtwire_proto::xdr::Text;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The destination gets no XML, and does not hear of a failure.
    One,
    /// The destination gets the domain's XML, and hears how it went.
    Two,
}

/// Takes the steps.
pub(super) async fn run(
    version: Version,
    source: &Domain,
    destination: &Connection,
    plain: Plain,
    mut flags: DomainMigrateFlags,
    course: &Course,
) -> Result<Domain> {
    let xml = match version {
        Version::One => None,
        Version::Two => Some(xml(source).await?),
    };
    if source.info().await.is_ok_and(|info| info.state == DomainState::PAUSED) {
        flags |= DomainMigrateFlags::PAUSED;
    }
    let target = Target { destination, plain: &plain, flags: flags - SOURCE_ONLY };
    course.check()?;
    let (cookie, uri) = target.prepare(xml).await?;
    let Some(uri) = uri.or_else(|| plain.uri.clone()) else {
        if version == Version::Two {
            target.finish2(source, cookie, Text::default(), true).await.ok();
        }
        return Err(MigrationError::NoUri.into());
    };
    let perform = remote::DomainMigratePerformArgs {
        dom: source.handle.clone(),
        cookie: cookie.clone(),
        uri: uri.clone(),
        flags: flags.into(),
        dname: plain.name.clone(),
        bandwidth: plain.bandwidth,
    };
    let performed = course.perform(source, destination, step(&source.connection, &perform)).await;
    let finished = match version {
        Version::One => {
            performed?;
            target.finish(source, cookie, uri).await?
        }
        Version::Two => {
            let finished = target.finish2(source, cookie, uri, performed.is_err()).await;
            // What the source says is why the destination fails, too.
            performed?;
            finished?
        }
    };
    Ok(destination.domain(finished))
}

/// The domain's XML, as the destination is to have it.
async fn xml(source: &Domain) -> Result<Text> {
    let flags = if source.connection.supports_feature(DriverFeature::XML_MIGRATABLE).await? {
        DomainXmlFlags::MIGRATABLE
    } else {
        DomainXmlFlags::SECURE | DomainXmlFlags::UPDATE_CPU
    };
    source.xml_desc(flags).await
}

/// The destination's side.
struct Target<'a> {
    destination: &'a Connection,
    plain: &'a Plain,
    flags: DomainMigrateFlags,
}

impl Target<'_> {
    /// Lets it wait for the domain. Gives the cookie for the source, and where to send the domain's memory, if it knows
    /// better.
    async fn prepare(&self, xml: Option<Text>) -> Result<(Cookie, Option<Text>)> {
        let (uri_in, dname, bandwidth) =
            (self.plain.uri.clone(), self.plain.name.clone(), self.plain.bandwidth);
        let flags = self.flags.into();
        match xml {
            None => {
                let args = remote::DomainMigratePrepareArgs { uri_in, flags, dname, bandwidth };
                let reply = step(self.destination, &args).await?;
                Ok((reply.cookie, reply.uri_out))
            }
            Some(dom_xml) => {
                let args = remote::DomainMigratePrepare2Args { uri_in, flags, dname, bandwidth, dom_xml };
                let reply = step(self.destination, &args).await?;
                Ok((reply.cookie, reply.uri_out))
            }
        }
    }

    async fn finish(&self, source: &Domain, cookie: Cookie, uri: Text) -> Result<NonnullDomain> {
        let args = remote::DomainMigrateFinishArgs {
            dname: self.name(source),
            cookie,
            uri,
            flags: self.flags.into(),
        };
        Ok(step(self.destination, &args).await?.ddom)
    }

    async fn finish2(
        &self,
        source: &Domain,
        cookie: Cookie,
        uri: Text,
        cancelled: bool,
    ) -> Result<NonnullDomain> {
        let args = remote::DomainMigrateFinish2Args {
            dname: self.name(source),
            cookie,
            uri,
            flags: self.flags.into(),
            retcode: cancelled.into(),
        };
        Ok(step(self.destination, &args).await?.ddom)
    }

    /// What the domain is called there.
    fn name(&self, source: &Domain) -> Text {
        self.plain.name.clone().unwrap_or_else(|| source.name().clone())
    }
}
