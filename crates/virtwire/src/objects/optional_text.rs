//! Strings that may be left out.

use virtwire_proto::xdr::Text;

/// A string that may be left out: what methods take where C takes `NULL` for a string.
///
/// A string is given as it is, or as `Some` of a `&str`; nothing is given as `None`. What else may be absent, such as a
/// [`Text`] of an answer, is one by [`OptionalText::new`].
///
/// # Examples
/// ```no_run
/// use virtwire::OptionalText;
/// use virtwire::flags::DomainConsoleFlags;
/// # async fn example(domain: virtwire::Domain, named: Option<String>) -> virtwire::Result<()> {
/// domain.open_console(None, DomainConsoleFlags::empty()).await?;
/// domain.open_console("serial0", DomainConsoleFlags::empty()).await?;
/// domain.open_console(OptionalText::new(named), DomainConsoleFlags::empty()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OptionalText(pub(crate) Option<Text>);

impl OptionalText {
    /// The string, where there is one.
    #[must_use]
    pub fn new(string: Option<impl Into<Text>>) -> Self {
        Self(string.map(Into::into))
    }
}

// The one `Option`: with two of them, nobody could say whose `None` it is.
impl From<Option<&str>> for OptionalText {
    fn from(string: Option<&str>) -> Self {
        Self::new(string)
    }
}

macro_rules! from_strings {
    ($($ty:ty),+) => {
        $(
            impl From<$ty> for OptionalText {
                fn from(string: $ty) -> Self {
                    Self(Some(string.into()))
                }
            }
        )+
    };
}

from_strings!(&str, String, &String, Text, &Text);

impl From<OptionalText> for Option<Text> {
    fn from(string: OptionalText) -> Self {
        string.0
    }
}
