//! Migration: a domain goes on on another host.

mod course;
mod older;
mod params;
mod plain;
mod version3;

pub use params::MigrateParams;

use super::Domain;
use crate::error::MigrationError;
use crate::{CallOptions, Connection, OptionalText, Result};
use course::{Course, Guard};
use plain::Plain;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use virtwire_proto::connection::CloseReason;
use virtwire_proto::enums::DriverFeature;
use virtwire_proto::flags::DomainMigrateFlags;
use virtwire_proto::names::migrate;
use virtwire_proto::program::{Call, remote};
use virtwire_proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire_proto::uri::{Transport, Uri};
use virtwire_proto::xdr::Text;

impl Domain {
    /// Migrates it to the host of another connection, and gives it as it is there. This client tells both daemons what to
    /// do, in the newest of libvirt's migration protocols that both have; the domain's memory goes from host to host.
    ///
    /// `params` are [`MigrateParams`], or [`TypedParams`] for what those do not have: the destination chooses what is not
    /// named. With the flag `PEER2PEER` the source's daemon connects to [`Connection::uri`] of the other connection and
    /// manages the migration by itself, as [`Domain::migrate_to_uri`] has it.
    ///
    /// Where a step fails, the others are told, and the domain goes on at its source. Dropping what this gives gives the
    /// migration up in the same way, in a task of its own that needs the runtime to go on; once the destination takes over,
    /// it is completed. With the flag `PEER2PEER` it goes on: [`Domain::abort_job`] gives it up.
    ///
    /// It takes its time: what the connections let a call wait ([`Builder::call_timeout`](crate::Builder::call_timeout))
    /// does not count for its steps, since a step that may have been taken or not leaves the domain nowhere, or twice.
    /// Put a timeout around what this gives instead. Keepalive counts: where the source's daemon is lost, the destination
    /// forgets the domain; where the destination's is lost, the source's goes on with it.
    ///
    /// Since libvirt 0.3.2. Permissions: `domain:migrate` at the source, `domain:migrate` and `domain:start` at the
    /// destination.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Migration`](crate::Error::Migration) where the two daemons cannot do it together.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::flags::DomainMigrateFlags;
    /// use virtwire::{Connection, MigrateParams};
    /// # async fn example() -> virtwire::Result<()> {
    /// let source = Connection::open("qemu+ssh://one/system").await?;
    /// let destination = Connection::open("qemu+ssh://two/system").await?;
    /// let domain = source.domain_lookup_by_name("demo").await?;
    /// let params = MigrateParams::new().bandwidth(100);
    /// let domain = domain.migrate(&destination, params, DomainMigrateFlags::LIVE).await?;
    /// println!("{} has the number {:?} there", domain.name(), domain.id());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virDomainMigrate")]
    #[doc(alias = "virDomainMigrate2")]
    #[doc(alias = "virDomainMigrate3")]
    pub async fn migrate(
        &self,
        destination: &Connection,
        params: impl Into<MigrateParams>,
        flags: DomainMigrateFlags,
    ) -> Result<Self> {
        let params = params.into().into_typed();
        if flags.contains(DomainMigrateFlags::PEER2PEER) {
            let name = params.get_as::<Text>(migrate::DEST_NAME).map_err(MigrationError::Params)?;
            let name = name.unwrap_or_else(|| self.name().clone());
            self.migrate_to_uri(destination.uri(), params, flags).await?;
            return destination.domain_lookup_by_name(name).await;
        }
        check(flags)?;
        let course = Arc::new(Course::default());
        let run = run(self.clone(), destination.clone(), params, flags, Arc::clone(&course));
        // In a task of its own: what was begun is brought to an end even where nobody waits for it any more.
        let mut guard = Guard::new(self.clone(), course, tokio::spawn(run));
        match guard.done().await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime ends.
            Err(_) => Err(crate::Error::Closed { procedure: None, reason: CloseReason::Local }),
        }
    }

    /// Migrates it by the source's daemon alone. With the flag `PEER2PEER` it connects to the destination's at `uri`, such
    /// as "qemu+tls://two.example.com/system", as it is seen from there; without, the hypervisor itself knows how to reach
    /// [`MigrateParams::uri`], and `uri` does not matter. `params` are as [`Domain::migrate`] has them.
    ///
    /// Dropping what this gives does not stop it, nor does a timeout: [`Domain::abort_job`] does.
    ///
    /// Since libvirt 0.7.2. Permissions: `domain:migrate`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Migration`](crate::Error::Migration) where `params` are not understood by the
    /// daemon's protocol.
    #[doc(alias = "virDomainMigrateToURI")]
    #[doc(alias = "virDomainMigrateToURI2")]
    #[doc(alias = "virDomainMigrateToURI3")]
    pub async fn migrate_to_uri(
        &self,
        uri: impl Into<OptionalText>,
        params: impl Into<MigrateParams>,
        flags: DomainMigrateFlags,
    ) -> Result<()> {
        let params = params.into().into_typed();
        check(flags)?;
        let is_peer_to_peer = flags.contains(DomainMigrateFlags::PEER2PEER);
        let dconnuri = match uri.into().0 {
            Some(uri) if is_peer_to_peer => Some(elsewhere(uri)?),
            None if is_peer_to_peer => return Err(MigrationError::NoUri.into()),
            _ => None,
        };
        let features = [
            (DriverFeature::MIGRATION_OFFLINE, DomainMigrateFlags::OFFLINE, MigrationError::Offline),
            (DriverFeature::MIGRATION_P2P, DomainMigrateFlags::PEER2PEER, MigrationError::PeerToPeer),
        ];
        for (feature, flag, error) in features {
            if flags.contains(flag) && !self.connection.supports_feature(feature).await? {
                return Err(error.into());
            }
        }
        if !is_peer_to_peer && !self.connection.supports_feature(DriverFeature::MIGRATION_DIRECT).await? {
            return Err(MigrationError::Direct.into());
        }
        if is_peer_to_peer && self.connection.supports_feature(DriverFeature::MIGRATION_PARAMS).await? {
            let args = remote::DomainMigratePerform3ParamsArgs {
                dom: self.handle.clone(),
                dconnuri,
                params: params.into(),
                cookie_in: Default::default(),
                flags: flags.bits(),
            };
            return self.connection.call(&args).await.map(drop);
        }
        let plain = Plain::of(&params)?;
        if self.connection.supports_feature(DriverFeature::MIGRATION_V3).await? {
            let args = remote::DomainMigratePerform3Args {
                dom: self.handle.clone(),
                xmlin: plain.xml,
                cookie_in: Default::default(),
                dconnuri,
                uri: plain.uri,
                flags: flags.into(),
                dname: plain.name,
                bandwidth: plain.bandwidth,
            };
            return self.connection.call(&args).await.map(drop);
        }
        plain.without_xml()?;
        let uri = match (dconnuri, plain.uri) {
            // The source asks the destination.
            (Some(_), Some(_)) => return Err(MigrationError::Uri.into()),
            (dconnuri, uri) => dconnuri.or(uri).ok_or(MigrationError::NoUri)?,
        };
        let args = remote::DomainMigratePerformArgs {
            dom: self.handle.clone(),
            cookie: Default::default(),
            uri,
            flags: flags.into(),
            dname: plain.name,
            bandwidth: plain.bandwidth,
        };
        self.connection.call(&args).await
    }
}

/// Flags that make no sense together. No daemon minds: libvirt's own client does.
fn check(flags: DomainMigrateFlags) -> Result<(), MigrationError> {
    use DomainMigrateFlags as F;
    if flags.contains(F::TUNNELLED) && !flags.contains(F::PEER2PEER) {
        return Err(MigrationError::Tunnelled);
    }
    for both in [F::NON_SHARED_DISK.union(F::NON_SHARED_INC), F::TUNNELLED.union(F::PARALLEL)] {
        if flags.contains(both) {
            return Err(MigrationError::Exclusive(both));
        }
    }
    if flags.contains(F::NON_SHARED_SYNCHRONOUS_WRITES)
        && !flags.intersects(F::NON_SHARED_DISK | F::NON_SHARED_INC)
    {
        return Err(MigrationError::SynchronousWrites);
    }
    Ok(())
}

/// A destination's URI that does not lead the source to itself. A UNIX socket that is named is meant.
fn elsewhere(uri: Text) -> Result<Text, MigrationError> {
    // What cannot be read here may be an alias of the source's.
    let Some(parsed) = uri.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else { return Ok(uri) };
    let is_here = match parsed.host() {
        Some(host) => host.starts_with("localhost"),
        None => parsed.transport() != Transport::Unix || parsed.socket().is_none(),
    };
    if is_here { Err(MigrationError::Here { uri }) } else { Ok(uri) }
}

/// Takes a step of a migration, however long it takes: where the connection would wait no longer, nobody would know
/// whether it was taken.
async fn step<C: Call>(connection: &Connection, args: &C) -> Result<C::Ret> {
    Ok(connection.call_with(args, CallOptions::new().timeout(Duration::MAX)).await?.0)
}

/// A migration that this client manages, in the newest protocol that both daemons have.
async fn run(
    source: Domain,
    destination: Connection,
    params: TypedParams,
    mut flags: DomainMigrateFlags,
    course: Arc<Course>,
) -> Result<Domain> {
    let both = async |feature| {
        Ok::<_, crate::Error>(
            source.connection.supports_feature(feature).await?
                && destination.supports_feature(feature).await?,
        )
    };
    if flags.contains(DomainMigrateFlags::OFFLINE) && !both(DriverFeature::MIGRATION_OFFLINE).await? {
        return Err(MigrationError::Offline.into());
    }
    // Against changes to the domain while it migrates. The source is asked for it where it can, not the destination.
    let protects = source.connection.supports_feature(DriverFeature::MIGRATE_CHANGE_PROTECTION).await?;
    if flags.contains(DomainMigrateFlags::CHANGE_PROTECTION) && !protects {
        return Err(MigrationError::ChangeProtection.into());
    }
    flags.remove(DomainMigrateFlags::CHANGE_PROTECTION);
    let protection =
        if protects { DomainMigrateFlags::CHANGE_PROTECTION } else { DomainMigrateFlags::empty() };

    if both(DriverFeature::MIGRATION_PARAMS).await? {
        let steps = version3::Steps::with_params(source, destination, params, flags, protection);
        return version3::run(steps, &course).await;
    }
    let plain = Plain::of(&params)?;
    if both(DriverFeature::MIGRATION_V3).await? {
        let steps = version3::Steps::plain(source, destination, plain, flags, protection);
        return version3::run(steps, &course).await;
    }
    let version = if both(DriverFeature::MIGRATION_V2).await? {
        older::Version::Two
    } else if both(DriverFeature::MIGRATION_V1).await? {
        older::Version::One
    } else {
        return Err(MigrationError::NoCommonProtocol.into());
    };
    plain.without_xml()?;
    older::run(version, &source, &destination, plain, flags, &course).await
}

/// The flags that are the source's affair alone.
const SOURCE_ONLY: DomainMigrateFlags =
    DomainMigrateFlags::ABORT_ON_ERROR.union(DomainMigrateFlags::AUTO_CONVERGE);

/// What a step hands to the next: bytes that only the daemons understand.
type Cookie = bytes::Bytes;
