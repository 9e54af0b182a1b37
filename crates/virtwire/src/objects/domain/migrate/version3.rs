//! Protocol 3: begin, prepare, perform, finish, confirm, with parameters or in their older form.

use super::course::Course;
use super::plain::Plain;
use super::{Cookie, Domain, SOURCE_ONLY, step};
use crate::error::MigrationError;
use crate::{Connection, Error, Result};
use virtwire_proto::enums::{DomainState, ErrorDomain, ErrorNumber};
use virtwire_proto::flags::DomainMigrateFlags;
use virtwire_proto::names::migrate;
use virtwire_proto::program::remote;
use virtwire_proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire_proto::xdr::Text;

/// The steps, each a call to one of the two daemons.
pub(super) struct Steps {
    source: Domain,
    destination: Connection,
    form: Form,
    flags: DomainMigrateFlags,
    /// What the source is asked for beside `flags`: to refuse changes to the domain meanwhile.
    protection: DomainMigrateFlags,
}

/// How the steps' parameters travel.
enum Form {
    Params(TypedParams),
    Plain(Plain),
}

impl Steps {
    pub(super) fn with_params(
        source: Domain,
        destination: Connection,
        params: TypedParams,
        flags: DomainMigrateFlags,
        protection: DomainMigrateFlags,
    ) -> Self {
        Self { source, destination, form: Form::Params(params), flags, protection }
    }

    pub(super) fn plain(
        source: Domain,
        destination: Connection,
        plain: Plain,
        flags: DomainMigrateFlags,
        protection: DomainMigrateFlags,
    ) -> Self {
        Self { source, destination, form: Form::Plain(plain), flags, protection }
    }

    fn source_flags(&self) -> DomainMigrateFlags {
        self.flags | self.protection
    }

    fn destination_flags(&self) -> DomainMigrateFlags {
        self.flags - SOURCE_ONLY
    }
}

/// Takes the steps; where one fails, tells those that have begun.
pub(super) async fn run(mut steps: Steps, course: &Course) -> Result<Domain> {
    let (cookie, xml) = steps.begin().await?;
    let is_paused = steps.source.state().await.is_ok_and(|(state, _)| state == DomainState::PAUSED);
    if is_paused && !steps.flags.contains(DomainMigrateFlags::POSTCOPY_RESUME) {
        steps.flags |= DomainMigrateFlags::PAUSED;
    }

    let prepared = match course.check() {
        Ok(()) => steps.prepare(cookie, xml).await,
        Err(error) => Err(error.into()),
    };
    let (cookie, has_uri) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            // With the protection, the source's job has begun with `begin`.
            if !steps.protection.is_empty() {
                steps.confirm(Cookie::new(), true).await.ok();
            }
            return Err(error);
        }
    };

    let performed = if !has_uri {
        Performed::failed(MigrationError::NoUri, cookie)
    } else if steps.flags.contains(DomainMigrateFlags::OFFLINE) {
        Performed::Done(Cookie::new())
    } else if let Err(error) = course.check() {
        Performed::failed(error, cookie)
    } else {
        match course.perform(&steps.source, &steps.destination, steps.perform(cookie)).await {
            Ok(cookie) => Performed::Done(cookie),
            Err(error) => Performed::Failed { error, cookie: Cookie::new(), at_source: true },
        }
    };
    let (cookie, failure) = match performed {
        Performed::Done(cookie) => (cookie, None),
        Performed::Failed { error, cookie, at_source } => (cookie, Some((error, at_source))),
    };

    let finished = steps.finish(cookie, failure.is_some()).await;
    // What failed at the source is over there; otherwise it waits to hear whether the domain is to end or to go on.
    let waits = !matches!(failure, Some((_, true)));
    match (finished, failure) {
        // What the destination has and says so, runs there, whatever the source said.
        (Ok((domain, cookie)), _) => {
            if waits {
                steps.confirm(cookie, false).await.ok();
            }
            Ok(domain)
        }
        (Err(finishing), failure) => {
            if waits {
                steps.confirm(Cookie::new(), true).await.ok();
            }
            Err(match failure {
                Some((error, _)) => of_both(error, finishing),
                None => finishing,
            })
        }
    }
}

/// How the middle of it went.
enum Performed {
    Done(Cookie),
    Failed {
        error: Error,
        /// What the destination gets.
        cookie: Cookie,
        /// Whether it was the source's, which then has ended it.
        at_source: bool,
    },
}

impl Performed {
    fn failed(error: MigrationError, cookie: Cookie) -> Self {
        Self::Failed { error: error.into(), cookie, at_source: false }
    }
}

/// What both hosts say, where both say something: the cause may be on either.
fn of_both(source: Error, destination: Error) -> Error {
    match (source, destination) {
        (Error::Libvirt(source), Error::Libvirt(destination))
            if source.code == ErrorNumber::OPERATION_FAILED
                && source.domain == ErrorDomain::QEMU
                && destination.domain == ErrorDomain::QEMU
                // It has merely heard that it is off.
                && destination.code != ErrorNumber::MIGRATE_FINISH_OK =>
        {
            MigrationError::Both { source, destination }.into()
        }
        (source, _) => source,
    }
}

impl Steps {
    /// Gives the cookie for the destination, and the domain's XML for it.
    async fn begin(&self) -> Result<(Cookie, Text)> {
        let (dom, flags) = (self.source.handle.clone(), self.source_flags());
        match &self.form {
            Form::Params(params) => {
                let params = params.clone().into();
                let args = remote::DomainMigrateBegin3ParamsArgs { dom, params, flags: flags.bits() };
                let reply = step(&self.source.connection, &args).await?;
                Ok((reply.cookie_out, reply.xml))
            }
            Form::Plain(plain) => {
                let args = remote::DomainMigrateBegin3Args {
                    dom,
                    xmlin: plain.xml.clone(),
                    flags: flags.into(),
                    dname: plain.name.clone(),
                    bandwidth: plain.bandwidth,
                };
                let reply = step(&self.source.connection, &args).await?;
                Ok((reply.cookie_out, reply.xml))
            }
        }
    }

    /// Lets the destination wait for the domain. Gives the cookie for the source, and whether it is known where to send
    /// the domain's memory.
    async fn prepare(&mut self, cookie_in: Cookie, xml: Text) -> Result<(Cookie, bool)> {
        let flags = self.destination_flags();
        match &mut self.form {
            Form::Params(params) => {
                params.set(migrate::DEST_XML, xml);
                let args = remote::DomainMigratePrepare3ParamsArgs {
                    params: params.clone().into(),
                    cookie_in,
                    flags: flags.bits(),
                };
                let reply = step(&self.destination, &args).await?;
                if let Some(uri) = reply.uri_out {
                    params.set(migrate::URI, uri);
                }
                Ok((reply.cookie_out, params.get_value(migrate::URI).is_some()))
            }
            Form::Plain(plain) => {
                let args = remote::DomainMigratePrepare3Args {
                    cookie_in,
                    uri_in: plain.uri.clone(),
                    flags: flags.into(),
                    dname: plain.name.clone(),
                    bandwidth: plain.bandwidth,
                    dom_xml: xml,
                };
                let reply = step(&self.destination, &args).await?;
                plain.uri = reply.uri_out.or(plain.uri.take());
                Ok((reply.cookie_out, plain.uri.is_some()))
            }
        }
    }

    /// Sends the domain's memory; it is paused at the source then. Gives the cookie for the destination.
    async fn perform(&self, cookie_in: Cookie) -> Result<Cookie> {
        let (dom, flags) = (self.source.handle.clone(), self.source_flags());
        match &self.form {
            Form::Params(params) => {
                let args = remote::DomainMigratePerform3ParamsArgs {
                    dom,
                    dconnuri: None,
                    params: params.clone().into(),
                    cookie_in,
                    flags: flags.bits(),
                };
                Ok(step(&self.source.connection, &args).await?.cookie_out)
            }
            Form::Plain(plain) => {
                let args = remote::DomainMigratePerform3Args {
                    dom,
                    // The destination has it already.
                    xmlin: None,
                    cookie_in,
                    dconnuri: None,
                    uri: plain.uri.clone(),
                    flags: flags.into(),
                    dname: plain.name.clone(),
                    bandwidth: plain.bandwidth,
                };
                Ok(step(&self.source.connection, &args).await?.cookie_out)
            }
        }
    }

    /// Lets the domain go on at the destination, or be forgotten there. Gives it, and the cookie for the source.
    async fn finish(&mut self, cookie_in: Cookie, cancelled: bool) -> Result<(Domain, Cookie)> {
        let (flags, cancelled) = (self.destination_flags(), cancelled.into());
        let name = self.source.name();
        let (dom, cookie) = match &mut self.form {
            Form::Params(params) => {
                if params.get_value(migrate::DEST_NAME).is_none() {
                    params.set(migrate::DEST_NAME, name.clone());
                }
                let args = remote::DomainMigrateFinish3ParamsArgs {
                    params: params.clone().into(),
                    cookie_in,
                    flags: flags.bits(),
                    cancelled,
                };
                let reply = step(&self.destination, &args).await?;
                (reply.dom, reply.cookie_out)
            }
            Form::Plain(plain) => {
                let args = remote::DomainMigrateFinish3Args {
                    dname: plain.name.clone().unwrap_or_else(|| name.clone()),
                    cookie_in,
                    dconnuri: None,
                    uri: plain.uri.clone(),
                    flags: flags.into(),
                    cancelled,
                };
                let reply = step(&self.destination, &args).await?;
                (reply.dom, reply.cookie_out)
            }
        };
        Ok((self.destination.domain(dom), cookie))
    }

    /// Lets the domain end at the source, or go on there.
    async fn confirm(&self, cookie_in: Cookie, cancelled: bool) -> Result<()> {
        let (dom, flags, cancelled) = (self.source.handle.clone(), self.source_flags(), cancelled.into());
        match &self.form {
            Form::Params(params) => {
                let args = remote::DomainMigrateConfirm3ParamsArgs {
                    dom,
                    params: params.clone().into(),
                    cookie_in,
                    flags: flags.bits(),
                    cancelled,
                };
                step(&self.source.connection, &args).await
            }
            Form::Plain(_) => {
                let args =
                    remote::DomainMigrateConfirm3Args { dom, cookie_in, flags: flags.into(), cancelled };
                step(&self.source.connection, &args).await
            }
        }
    }
}
