//! Who a client is, and what it proves that by.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Who a client is to a daemon that asks for SASL, and what it proves that by.
///
/// Nothing shows the password, and its memory is cleared when it is dropped.
///
/// # Examples
/// ```no_run
/// use virtwire::{Connection, Credentials};
///
/// # async fn example() -> virtwire::Result<()> {
/// let connection = Connection::builder("qemu+tcp://host.example.com/system")
///     .credentials(Credentials::new("fred", "secret"))
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virConnectCredential")]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    name: Option<String>,
    password: Option<Zeroizing<String>>,
    realm: Option<String>,
    act_as: Option<String>,
}

impl Credentials {
    /// A user name and a password.
    ///
    /// ```
    /// let credentials = virtwire::Credentials::new("fred", "secret");
    /// assert!(!format!("{credentials:?}").contains("secret"));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self::from_password(password).user(name)
    }

    /// A password; the user is the one of the URI.
    ///
    /// ```
    /// // For a URI like qemu+tls://fred@host.example.com/system.
    /// let credentials = virtwire::Credentials::from_password("secret");
    /// ```
    #[must_use]
    pub fn from_password(password: impl Into<String>) -> Self {
        Self { password: Some(Zeroizing::new(password.into())), ..Self::default() }
    }

    /// Sets the user name (VIR_CRED_AUTHNAME).
    ///
    /// ```
    /// let credentials = virtwire::Credentials::from_password("secret").user("fred");
    /// assert_eq!(credentials.name(), Some("fred"));
    /// ```
    #[doc(alias = "VIR_CRED_AUTHNAME")]
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the realm that the user belongs to, where the mechanism has realms (DIGEST-MD5). Otherwise it is the first
    /// that the daemon offers.
    ///
    /// ```
    /// let credentials = virtwire::Credentials::new("fred", "secret").realm("example.com");
    /// ```
    #[doc(alias = "VIR_CRED_REALM")]
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Asks to be treated as another user than the one whose password it is (VIR_CRED_USERNAME).
    ///
    /// ```
    /// let credentials = virtwire::Credentials::new("root", "secret").act_as("fred");
    /// ```
    #[doc(alias = "VIR_CRED_USERNAME")]
    #[must_use]
    pub fn act_as(mut self, user: impl Into<String>) -> Self {
        self.act_as = Some(user.into());
        self
    }

    /// The user name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether there are both a name and a password.
    pub(super) fn is_pair(&self) -> bool {
        self.name.is_some() && self.password.is_some()
    }

    /// Name and password; empty where there is none.
    pub(super) fn pair(&self) -> (&str, &str) {
        let password = self.password.as_ref().map(|password| password.as_str());
        (self.name().unwrap_or_default(), password.unwrap_or_default())
    }

    pub(super) fn realm_name(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// Whom to act as, where that is somebody else.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.act_as.as_deref().filter(|act_as| !act_as.is_empty() && Some(*act_as) != self.name())
    }

    /// With this user where there is none.
    pub(super) fn or_user(mut self, name: Option<&str>) -> Self {
        self.name = self.name.or_else(|| name.map(str::to_owned));
        self
    }

    /// What there is not, of name and password.
    pub(super) fn lack(&self) -> &'static str {
        match (&self.name, &self.password) {
            (None, None) => "neither",
            (None, Some(_)) => "no user name",
            _ => "no password",
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| format_args!("(hidden)")))
            .field("realm", &self.realm)
            .field("act_as", &self.act_as)
            .finish()
    }
}

/// What a program is asked when a daemon wants to know who it is: see
/// [`Builder::ask_credentials`](crate::Builder::ask_credentials), which has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CredentialRequest {
    /// The daemon's host, as the URI has it; `localhost` where it has none.
    pub host: String,
    /// The user that the URI names.
    pub user: Option<String>,
    /// The mechanisms that could be taken, the best first.
    pub mechanisms: Vec<&'static str>,
}

/// Why a program gives no credentials.
pub type CredentialError = Box<dyn StdError + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Result<Credentials, CredentialError>> + Send>>;

/// Where credentials come from. It can be asked again and again.
#[derive(Clone, Default)]
pub(crate) enum Source {
    /// libvirt's auth.conf.
    #[default]
    Files,
    Given(Credentials),
    Asked(Arc<dyn Fn(CredentialRequest) -> Answer + Send + Sync>),
}

impl Source {
    pub(crate) fn asking<F>(ask: impl Fn(CredentialRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, CredentialError>> + Send + 'static,
    {
        Self::Asked(Arc::new(move |request| Box::pin(ask(request))))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("Files"),
            Self::Given(credentials) => credentials.fmt(f),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}
