//! The parameters that migrations have had since before there were typed ones.

use crate::error::MigrationError;
use virtwire_proto::names::migrate;
use virtwire_proto::typed_params::{TypedParam, TypedParamsExt};
use virtwire_proto::xdr::Text;

/// The parameters that the older protocols know.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) uri: Option<Text>,
    pub(super) name: Option<Text>,
    pub(super) xml: Option<Text>,
    /// In MiB/s; 0 means as the hypervisor has it.
    pub(super) bandwidth: u64,
}

impl Plain {
    /// What the parameters say, where the older protocols know all of them.
    pub(super) fn of(params: &[TypedParam]) -> Result<Self, MigrationError> {
        params.check_only(&[migrate::URI, migrate::DEST_NAME, migrate::DEST_XML, migrate::BANDWIDTH])?;
        Ok(Self {
            uri: params.get_as(migrate::URI)?,
            name: params.get_as(migrate::DEST_NAME)?,
            xml: params.get_as(migrate::DEST_XML)?,
            bandwidth: params.get_as(migrate::BANDWIDTH)?.unwrap_or(0),
        })
    }

    /// Fails where the domain's XML is to be changed, which came with protocol 3.
    pub(super) fn without_xml(&self) -> Result<(), MigrationError> {
        if self.xml.is_some() { Err(MigrationError::Xml) } else { Ok(()) }
    }
}
