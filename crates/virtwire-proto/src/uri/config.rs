//! What a client takes from libvirt.conf: aliases, the default URI, and defaults of parameters.

use super::{Mode, Proxy, Uri, UriError};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// What a client takes from libvirt.conf. Reading the file (`$XDG_CONFIG_HOME/libvirt/libvirt.conf`, or
/// `/etc/libvirt/libvirt.conf` for root) is the caller's.
///
/// # Examples
/// ```
/// use virtwire_proto::uri::ClientConfig;
/// let config = ClientConfig::parse(
///     r#"
///     uri_aliases = [
///       "hail=qemu+ssh://root@hail.example.com/system",   "sleet=qemu+tls://sleet.example.com/system",
///     ]
///     uri_default = "hail"  # an alias will do
///     "#,
/// )?;
/// let uri = config.resolve(None, None).unwrap().unwrap();
/// assert_eq!(uri.host(), Some("hail.example.com"));
/// # Ok::<(), virtwire_proto::uri::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// `uri_aliases`: each is `alias=uri`. They are checked when one is looked for, as libvirt does.
    pub uri_aliases: Vec<String>,
    /// `uri_default`: the URI, or an alias, to open where none is named.
    pub uri_default: Option<String>,
    /// `remote_mode`: the mode where a URI says none.
    pub remote_mode: Option<Mode>,
    /// `remote_proxy`: the proxy where a URI says none.
    pub remote_proxy: Option<Proxy>,
    /// `tls_priority`: TLS priorities where a URI says none.
    pub tls_priority: Option<String>,
}

/// The settings that are a client's.
const SETTINGS: [&str; 5] = ["uri_aliases", "uri_default", "tls_priority", "remote_mode", "remote_proxy"];

/// Why a text is not a configuration: what was expected, what came, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("libvirt.conf, line {line}: {kind}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected and what came.
    pub kind: ConfigErrorKind,
}

/// What was expected in a configuration, and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// Something else stands where the grammar wants this.
    #[error("expected {expected}, found {found}")]
    Syntax {
        /// What the grammar wants.
        expected: &'static str,
        /// The character that stands there, or that the text ends.
        found: String,
    },
    /// A setting has a value of another kind.
    #[error("{setting} is to be {expected}")]
    WrongValue {
        /// The setting.
        setting: &'static str,
        /// What it is to be.
        expected: &'static str,
    },
}

/// Why a name does not lead to a URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// An entry of `uri_aliases` is not `alias=uri`.
    #[error("the entry {entry:?} of uri_aliases is to be alias=uri, the alias of letters, digits, _ and -")]
    MalformedAlias {
        /// The entry.
        entry: String,
    },
    /// The name, or what its alias stands for, is no URI.
    #[error(transparent)]
    Uri(#[from] UriError),
}

impl ClientConfig {
    /// Reads the text of a libvirt.conf; settings that are not a client's are passed over.
    ///
    /// # Errors
    /// The text is not in the configuration's grammar, or a setting has a value of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut parser = Parser { text, position: 0 };
        let mut config = Self::default();
        let mut unset = Vec::from(SETTINGS);
        while let Some(Statement { line, name, value }) = parser.statement()? {
            // The first of several counts.
            if let Some(index) = unset.iter().position(|setting| *setting == name) {
                let setting = unset.swap_remove(index);
                config.set(setting, value).map_err(|expected| {
                    let kind = ConfigErrorKind::WrongValue { setting, expected };
                    ConfigError { line, kind }
                })?;
            }
        }
        Ok(config)
    }

    /// Sets one of [`SETTINGS`]; the error says what it is to be.
    fn set(&mut self, setting: &str, value: Value) -> Result<(), &'static str> {
        if setting == "uri_aliases" {
            let Value::List(values) = value else { return Err("a list of strings") };
            let strings: Option<_> = values.into_iter().map(Value::into_string).collect();
            self.uri_aliases = strings.ok_or("a list of strings")?;
            return Ok(());
        }
        let text = value.into_string().ok_or("a string")?;
        match setting {
            "uri_default" => self.uri_default = Some(text),
            "tls_priority" => self.tls_priority = Some(text),
            "remote_mode" => {
                let mode = Mode::from_name(&text);
                self.remote_mode = Some(mode.ok_or("\"auto\", \"legacy\" or \"direct\"")?);
            }
            _ => {
                let proxy = Proxy::from_name(&text);
                self.remote_proxy = Some(proxy.ok_or("\"auto\", \"netcat\" or \"native\"")?);
            }
        }
        Ok(())
    }

    /// What the alias stands for; `None` where it is none.
    ///
    /// # Errors
    /// An entry of `uri_aliases` in front of the one that is looked for is malformed.
    #[doc(alias = "virURIResolveAlias")]
    pub fn alias(&self, name: &str) -> Result<Option<&str>, ResolveError> {
        for entry in &self.uri_aliases {
            let is_alias = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            match entry.split_once('=') {
                Some((alias, uri)) if alias.bytes().all(is_alias) => {
                    if alias == name {
                        return Ok(Some(uri));
                    }
                }
                _ => return Err(ResolveError::MalformedAlias { entry: entry.clone() }),
            }
        }
        Ok(None)
    }

    /// The URI that a user means: what is named, else `default` (the environment's LIBVIRT_DEFAULT_URI), else
    /// `uri_default`, with aliases resolved. `None` where nothing says one: the client probes.
    ///
    /// An empty text names nothing, and `xen` is short for `xen:///system`.
    ///
    /// # Errors
    /// As [`ClientConfig::alias`], or it is no URI.
    #[doc(alias("virConnectOpen", "virConnectOpenAuth", "virConnectOpenReadOnly", "LIBVIRT_DEFAULT_URI"))]
    pub fn resolve(&self, name: Option<&str>, default: Option<&str>) -> Result<Option<Uri>, ResolveError> {
        fn said(name: Option<&str>) -> Option<&str> {
            name.filter(|name| !name.is_empty())
        }
        let name = match said(name) {
            Some(name) if name.eq_ignore_ascii_case("xen") || name == "xen://" => Some("xen:///system"),
            Some(name) => Some(name),
            None => said(default).or(said(self.uri_default.as_deref())),
        };
        let Some(name) = name else { return Ok(None) };
        let uri = self.alias(name)?.unwrap_or(name);
        Ok(Some(uri.parse()?))
    }
}

/// `name = value`, and the line that it begins in.
struct Statement<'a> {
    line: usize,
    name: &'a str,
    value: Value,
}

enum Value {
    String(String),
    Number,
    List(Vec<Value>),
}

impl Value {
    fn into_string(self) -> Option<String> {
        if let Self::String(string) = self { Some(string) } else { None }
    }
}

/// Lists in lists that are followed: libvirt.conf has none, and what is nested deeper is refused.
const MAX_DEPTH: usize = 16;

/// The grammar of libvirt's configuration files: a small part of Python's.
struct Parser<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Parser<'a> {
    /// The next statement, or `None` at the end.
    fn statement(&mut self) -> Result<Option<Statement<'a>>, ConfigError> {
        loop {
            self.skip(" \t\r\n");
            match self.peek() {
                None => return Ok(None),
                Some('#') => self.skip_line(),
                Some(_) => break,
            }
        }
        let line = self.line();
        let rest = self.rest();
        if !rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(self.unexpected("the name of a setting"));
        }
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let name = &rest[..rest.find(|char| !is_name(char)).unwrap_or(rest.len())];
        self.position += name.len();
        self.skip(" \t");
        self.expect('=', "=")?;
        let value = self.value(0)?;
        self.skip(" \t");
        match self.peek() {
            Some('#') => self.skip_line(),
            None | Some('\n' | '\r') => {}
            Some(';') => self.position += 1,
            Some(_) => return Err(self.unexpected("the end of the line")),
        }
        Ok(Some(Statement { line, name, value }))
    }

    fn value(&mut self, depth: usize) -> Result<Value, ConfigError> {
        self.skip(" \t");
        match self.peek() {
            Some('"' | '\'') => self.string().map(Value::String),
            Some('[') if depth < MAX_DEPTH => self.list(depth).map(Value::List),
            Some('-' | '+' | '0'..='9') => self.number(),
            _ => Err(self.unexpected("a string, a number or a list")),
        }
    }

    fn number(&mut self) -> Result<Value, ConfigError> {
        if matches!(self.peek(), Some('-' | '+')) {
            self.position += 1;
        }
        if !self.peek().is_some_and(|char| char.is_ascii_digit()) {
            return Err(self.unexpected("a digit"));
        }
        self.skip("0123456789");
        Ok(Value::Number)
    }

    /// A string in quotes within a line, or in three of them over several; nothing in it is an escape.
    fn string(&mut self) -> Result<String, ConfigError> {
        let rest = self.rest();
        let quotes = if rest.starts_with("\"\"\"") { "\"\"\"" } else { &rest[..1] };
        let inner = &rest[quotes.len()..];
        match inner.find(quotes) {
            Some(end) if quotes.len() == 3 || !inner[..end].contains(['\n', '\r']) => {
                self.position += end + 2 * quotes.len();
                Ok(inner[..end].to_owned())
            }
            _ => Err(self.unexpected("a string with quotes at both its ends")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, ConfigError> {
        const BLANKS: &str = " \t\r\n";
        self.position += 1;
        let mut values = Vec::new();
        loop {
            self.skip(BLANKS);
            if self.take(']') {
                return Ok(values);
            }
            values.push(self.value(depth + 1)?);
            self.skip(BLANKS);
            if !self.take(',') {
                self.expect(']', ", or ] in a list")?;
                return Ok(values);
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes over an ASCII character, if it is the next one.
    fn take(&mut self, char: char) -> bool {
        let is_next = self.peek() == Some(char);
        self.position += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, char: char, expected: &'static str) -> Result<(), ConfigError> {
        if self.take(char) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn skip(&mut self, chars: &str) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches(|char| chars.contains(char)).len();
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.position += rest.find(['\n', '\r']).unwrap_or(rest.len());
    }

    fn line(&self) -> usize {
        1 + self.text[..self.position].matches('\n').count()
    }

    fn unexpected(&self, expected: &'static str) -> ConfigError {
        let found = self.peek().map_or_else(|| "the end".to_owned(), |char| alloc::format!("{char:?}"));
        ConfigError { line: self.line(), kind: ConfigErrorKind::Syntax { expected, found } }
    }
}
