//! libvirt's file of credentials, auth.conf: which one counts, and what it says about a daemon.

use super::credentials::Credentials;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file for all users.
const OF_ALL: &str = "/etc/libvirt/auth.conf";

/// Where an auth.conf may be, the first place first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    paths: Vec<PathBuf>,
    /// Whether somebody has named it: then it has to be there.
    named: bool,
}

impl Places {
    /// The file that LIBVIRT_AUTH_FILE names; else the one that the URI names; else the user's, or that of all users.
    pub(super) fn new(in_uri: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = variable("LIBVIRT_AUTH_FILE").or_else(|| in_uri.map(Path::to_owned));
        if let Some(path) = named {
            return Self { paths: vec![path], named: true };
        }
        let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
        let users = folder.map(|folder| folder.join("libvirt/auth.conf"));
        Self { paths: users.into_iter().chain([OF_ALL.into()]).collect(), named: false }
    }

    /// What the first file that is there says about the host.
    pub(super) fn look_up(&self, host: &str) -> Result<Found, String> {
        for path in &self.paths {
            let text = match std::fs::read_to_string(path) {
                Ok(text) => zeroize::Zeroizing::new(text),
                // Another user's is not there for this one.
                Err(error)
                    if !self.named
                        && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
                {
                    continue;
                }
                Err(error) => return Err(format!("{}: {error}", path.display())),
            };
            let file = AuthConf::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            let found = file.look_up(host).map_err(|error| format!("{}: {error}", path.display()))?;
            return Ok(match found {
                Some(credentials) => Found::Credentials { credentials, path: path.clone() },
                None => {
                    let groups = format!("neither [auth-libvirt-{host}] nor [auth-libvirt-default]");
                    Found::Nothing { why: format!("{} has {groups}", path.display()) }
                }
            });
        }
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        Ok(Found::Nothing { why: format!("none are given, and there is no {}", paths.join(" and no ")) })
    }
}

/// What there is about a host.
#[derive(Debug)]
pub(super) enum Found {
    Credentials { credentials: Credentials, path: PathBuf },
    Nothing { why: String },
}

/// A file's groups.
#[derive(Default)]
struct AuthConf(BTreeMap<String, BTreeMap<String, String>>);

impl AuthConf {
    /// Reads a file in the format of GLib's key files: `[group]`, `key=value`, `# comment`.
    fn parse(text: &str) -> Result<Self, String> {
        let mut file = Self::default();
        let mut group: Option<&mut BTreeMap<String, String>> = None;
        for (index, line) in text.lines().enumerate() {
            // What the line is stays out of the error: it may be a password.
            let wrong = |what: &str| format!("line {}: {what}", index + 1);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let name =
                    rest.strip_suffix(']').filter(|name| !name.is_empty() && !name.contains(['[', ']']));
                let name = name.ok_or_else(|| wrong("expected [group]"))?;
                group = Some(file.0.entry(name.to_owned()).or_default());
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(|| wrong("expected [group] or key=value"))?;
            let group = group.as_mut().ok_or_else(|| wrong("expected [group] before the first key"))?;
            let value = unescaped(value.trim_start()).ok_or_else(|| wrong("an unknown escape behind \\"))?;
            group.insert(key.trim_end().to_owned(), value);
        }
        Ok(file)
    }

    /// The credentials for the libvirt on a host, where there are some.
    fn look_up(&self, host: &str) -> Result<Option<Credentials>, String> {
        let groups = [format!("auth-libvirt-{host}"), "auth-libvirt-default".to_owned()];
        let Some(group) = groups.into_iter().find(|group| self.0.contains_key(group)) else {
            return Ok(None);
        };
        let name = self.0[&group].get("credentials");
        let name = name.ok_or_else(|| format!("[{group}] names no credentials"))?;
        let entry = self.0.get(&format!("credentials-{name}"));
        let entry =
            entry.ok_or_else(|| format!("[{group}] names [credentials-{name}], which is not there"))?;
        let (authname, username) = (entry.get("authname"), entry.get("username"));
        let mut credentials = Credentials::default();
        if let Some(password) = entry.get("password") {
            credentials = Credentials::from_password(password);
        }
        if let Some(name) = authname.or(username) {
            credentials = credentials.user(name);
        }
        if let Some(username) = username {
            credentials = credentials.act_as(username);
        }
        if let Some(realm) = entry.get("realm") {
            credentials = credentials.realm(realm);
        }
        Ok(Some(credentials))
    }
}

impl Drop for AuthConf {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.0.values_mut().flat_map(BTreeMap::values_mut).for_each(Zeroize::zeroize);
    }
}

fn unescaped(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next()? {
                's' => ' ',
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            char => char,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# For all
[credentials-test]
authname=fred
password = 1\\s2\\\\3 \n
[credentials-prod]
username=bar
authname = letmein
password=a=b#c
realm=example.com
[auth-libvirt-one.example.com]
credentials=prod

[auth-libvirt-default]
credentials=test
[auth-libvirt-broken]
[auth-libvirt-dangling]
credentials=none
";

    #[test]
    fn a_host_has_its_credentials_and_all_others_the_default() {
        let file = AuthConf::parse(FILE).unwrap();
        assert_eq!(file.look_up("two").unwrap(), Some(Credentials::new("fred", "1 2\\3")));
        let own = Credentials::new("letmein", "a=b#c").realm("example.com").act_as("bar");
        assert_eq!(file.look_up("one.example.com").unwrap(), Some(own));
        assert_eq!(AuthConf::parse("").unwrap().look_up("two").unwrap(), None);
        for (host, reason) in [
            ("broken", "[auth-libvirt-broken] names no credentials"),
            ("dangling", "[auth-libvirt-dangling] names [credentials-none], which is not there"),
        ] {
            assert_eq!(file.look_up(host).unwrap_err(), reason);
        }
    }

    #[test]
    fn a_username_alone_is_the_user() {
        let file =
            AuthConf::parse("[credentials-a]\nusername=fred\npassword=x\n[auth-libvirt-h]\ncredentials=a")
                .unwrap();
        let found = file.look_up("h").unwrap().unwrap();
        assert_eq!((found.pair(), found.authorization()), (("fred", "x"), None));
    }

    #[test]
    fn a_malformed_file_says_where_and_shows_no_secret() {
        for (text, reason) in [
            ("password=x", "line 1: expected [group] before the first key"),
            ("[a]\nsecret", "line 2: expected [group] or key=value"),
            ("[a\n", "line 1: expected [group]"),
            ("[]\n", "line 1: expected [group]"),
            ("[a]\npassword=\\x", "line 2: an unknown escape behind \\"),
            ("[a]\npassword=x\\", "line 2: an unknown escape behind \\"),
        ] {
            assert_eq!(AuthConf::parse(text).map(drop).unwrap_err(), reason);
        }
    }

    #[test]
    fn the_variable_comes_before_the_uri_and_that_before_the_usual_places() {
        let set = |names: &'static [(&str, &str)]| {
            move |name: &str| {
                names.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
            }
        };
        let uri = Some(Path::new("/of/uri"));
        let paths = |places: Places| (places.named, places.paths);
        assert_eq!(
            paths(Places::new(uri, set(&[("LIBVIRT_AUTH_FILE", "/of/variable"), ("HOME", "/h")]))),
            (true, vec!["/of/variable".into()])
        );
        assert_eq!(
            paths(Places::new(uri, set(&[("LIBVIRT_AUTH_FILE", "")]))),
            (true, vec!["/of/uri".into()])
        );
        assert_eq!(
            paths(Places::new(None, set(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]))),
            (false, vec!["/x/libvirt/auth.conf".into(), OF_ALL.into()])
        );
        assert_eq!(
            paths(Places::new(None, set(&[("HOME", "/h")]))),
            (false, vec!["/h/.config/libvirt/auth.conf".into(), OF_ALL.into()])
        );
        assert_eq!(paths(Places::new(None, set(&[]))), (false, vec![OF_ALL.into()]));
    }

    #[test]
    fn a_file_that_is_named_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("auth.conf");
        let error = Places::new(Some(&missing), |_| None).look_up("h").unwrap_err();
        assert!(error.starts_with(missing.to_str().unwrap()), "{error}");
        // Where nobody names one, the next place counts.
        let other = folder.path().join("other");
        std::fs::write(&other, FILE).unwrap();
        let places = Places { paths: vec![missing.clone(), other.clone()], named: false };
        let Found::Credentials { credentials, path } = places.look_up("h").unwrap() else {
            panic!("they are there")
        };
        assert_eq!((credentials.name(), path), (Some("fred"), other));
        let none = Places { paths: vec![missing.clone()], named: false }.look_up("h").unwrap();
        let Found::Nothing { why } = none else { panic!("{none:?}") };
        assert_eq!(why, format!("none are given, and there is no {}", missing.display()));
    }
}
