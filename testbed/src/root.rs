//! Where a libvirt is installed: the machine itself, or a folder that holds a whole system (a chroot).

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders that a distribution's own programs are in. They come first, so that a version manager's
/// `python3` does not hide the one that libvirt's module is installed for.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Gives the system below `$root` what a running one has. It runs in a mount namespace of its own, so that its
/// mounts end with it and the machine never sees them. `/tmp` is the machine's: one path names the same file inside
/// and outside.
pub(crate) const MOUNTS: &str = r#"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount --rbind /tmp "$root/tmp"
"#;

/// An installed system that programs are run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    folder: Option<PathBuf>,
}

impl Root {
    /// The machine itself.
    pub fn system() -> Self {
        Self { folder: None }
    }

    /// The system below `folder`, as debootstrap makes one. Running anything in it takes root's rights.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// Whether this process has root's rights, without which nothing runs in a chroot.
    pub fn may_enter() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// The folder of a chroot; `None` for the machine itself.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The path, as the machine sees it, of what is `path` (absolute) inside.
    pub fn outside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match &self.folder {
            Some(folder) => folder.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// Whether the program `name` is in one of the folders that [`Root::command`] looks in.
    pub fn has_program(&self, name: &str) -> bool {
        let found = |path: &OsStr| env::split_paths(path).any(|dir| self.outside(dir.join(name)).is_file());
        found(&self.search_path())
    }

    /// A command that runs `program` in this system. Arguments and more can be added as to any [`Command`].
    ///
    /// Messages are in English (`LC_ALL=C`); what the caller's environment says to libvirt is left out. Inside
    /// a chroot only `/tmp` shows the machine's files, under the same paths, and the working folder is `/`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.folder {
            None => Command::new(program),
            Some(folder) => {
                let mut command = Command::new("unshare");
                let script = format!("root=$1; shift\n{MOUNTS}exec chroot \"$root\" \"$@\"\n");
                command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-ec", &script, "sh"]);
                command.arg(folder).arg(program);
                command
            }
        };
        self.set_environment(&mut command);
        command
    }

    /// Makes a command's environment the one of [`Root::command`].
    pub(crate) fn set_environment(&self, command: &mut Command) {
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let steers_libvirt =
                ["LIBVIRT_", "VIRSH_", "VIRT_", "LISTEN_"].iter().any(|prefix| text.starts_with(prefix));
            if steers_libvirt || text == "NOTIFY_SOCKET" || text == "SASL_CONF_PATH" {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C").env("PATH", self.search_path());
    }

    fn search_path(&self) -> OsString {
        let mut path = OsString::from(SYSTEM_PATH);
        if self.folder.is_none()
            && let Some(callers) = env::var_os("PATH")
        {
            path.push(":");
            path.push(callers);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_paths_lie_below_the_folder() {
        assert_eq!(Root::system().outside("/usr/bin"), Path::new("/usr/bin"));
        assert_eq!(Root::at("/srv/sid").outside("/usr/bin"), Path::new("/srv/sid/usr/bin"));
    }

    #[test]
    fn the_machine_has_a_shell_and_no_nonsense() {
        assert!(Root::system().has_program("sh"));
        assert!(!Root::system().has_program("no-such-program-anywhere"));
        assert!(!Root::at("/nonexistent").has_program("sh"));
    }
}
