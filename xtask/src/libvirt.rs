//! Real libvirts made ready for the tests: the distribution's own, or another version in a folder of its own.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use virtwire_testbed::{Root, Testbed, Tool, Version};

/// The environment variable that names the folder for chroots, each below its Debian suite's name.
const CHROOTS: &str = "VIRTWIRE_CHROOTS";

/// The environment variable that names a Debian mirror, in place of the one that apt is set up with.
const MIRROR: &str = "VIRTWIRE_DEBIAN_MIRROR";

/// What the tests cannot do without.
const DAEMON: [&str; 2] = ["libvirt-daemon", "libvirt-clients"];

/// What single tests need beside it.
const TOOLS: [&str; 8] = [
    "python3-libvirt",
    "tshark",
    "libvirt-wireshark",
    "sasl2-bin",
    "libsasl2-modules",
    "libsasl2-modules-db",
    "openssh-client",
    "netcat-openbsd",
];

/// What guests need, in the order in which it is installed. The emulator comes first and alone: where a newer qemu-utils
/// is installed from elsewhere, apt refuses to install both at once, but replaces the one and can then install the other.
const GUESTS: [&[&str]; 2] =
    [&["qemu-system-x86"], &["qemu-utils", "seabios", "dnsmasq-base", "iptables", "iproute2"]];

/// What would start a service where an init system runs: installed only where none does.
const SERVICES: [&str; 1] = ["openssh-server"];

/// Newer Debian releases have each driver, and the lock and log daemons, in packages of their own.
const PARTS: [&str; 9] = [
    "libvirt-daemon-driver-interface",
    "libvirt-daemon-driver-network",
    "libvirt-daemon-driver-nodedev",
    "libvirt-daemon-driver-nwfilter",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-driver-secret",
    "libvirt-daemon-driver-storage",
    "libvirt-daemon-lock",
    "libvirt-daemon-log",
];

const TRIXIE: Suite = Suite { name: "trixie", version: Version(11, 3, 0) };
const SID: Suite = Suite { name: "sid", version: Version(12, 8, 0) };

/// Which libvirt the tests are to run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libvirt {
    /// The distribution's own.
    Installed,
    /// That of another Debian suite.
    Of(Suite),
    /// None: tests that need one are left out.
    None,
}

/// A suite of Debian, and the version of libvirt that it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suite {
    name: &'static str,
    version: Version,
}

impl FromStr for Libvirt {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "9.0" | "9.0.0" => Self::Installed,
            "11.3" | "11.3.0" => Self::Of(TRIXIE),
            "12.8" | "12.8.0" => Self::Of(SID),
            "none" => Self::None,
            _ => bail!("--libvirt {text}: one of 9.0, 11.3, 12.8, none is wanted"),
        })
    }
}

/// Makes `libvirt` ready, saying each step, and gives the value of [`Testbed::VARIABLE`] that names it.
pub(crate) fn prepare(libvirt: Libvirt) -> Result<Option<OsString>> {
    match libvirt {
        Libvirt::None => Ok(None),
        Libvirt::Installed => installed().map(|()| Some("system".into())),
        Libvirt::Of(suite) => chroot(suite).map(|folder| Some(folder.into())),
    }
}

/// Installs packages of the distribution's on the machine itself, where root may and apt is there; says whether.
pub(crate) fn install_on_the_machine(packages: &[&str]) -> Result<bool> {
    let apt = Apt::of_the_machine();
    let may = apt.is_there() && Root::may_enter();
    if may {
        apt.install(packages)?;
    }
    Ok(may)
}

fn installed() -> Result<()> {
    let apt = Apt::of_the_machine();
    let mut packages: Vec<_> = DAEMON.into_iter().chain(TOOLS).collect();
    if !Path::new("/run/systemd/system").exists() {
        packages.extend(SERVICES);
    }
    if apt.is_there() {
        let missing = apt.missing(&packages)?;
        if !missing.is_empty() && Root::may_enter() {
            apt.install(&missing)?;
        } else if !missing.is_empty() {
            say(&format!("only root may install: {}", missing.join(" ")));
        }
        if Root::may_enter() {
            apt.install_for_guests()?;
        }
    }
    let testbed = Testbed::new(Root::system()).with_context(|| {
        format!("libvirt is needed: install {} (or their like), or use --libvirt none", packages.join(" "))
    })?;
    let version = testbed.version();
    if (version.0, version.1) == (9, 0) {
        say(&format!("the installed libvirt {version}"));
    } else {
        say(&format!("the installed libvirt {version}: this distribution does not have 9.0"));
    }
    report_tools(&testbed);
    Ok(())
}

/// A folder with `suite` and its libvirt: made when it is not there, completed when something is missing.
fn chroot(suite: Suite) -> Result<PathBuf> {
    ensure!(
        Root::may_enter(),
        "libvirt {} runs in a chroot: only root may make and enter one",
        suite.version
    );
    let chroots = chroots_folder()?;
    fs::create_dir_all(&chroots).with_context(|| chroots.display().to_string())?;
    let lock = chroots.join(format!("{}.lock", suite.name));
    let lock = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(&lock)
        .with_context(|| lock.display().to_string())?;
    if lock.try_lock().is_err() {
        say(&format!("waiting for another set-up of {} to end", suite.name));
        lock.lock()?;
    }
    // What has this name is complete, for a new one gets it last.
    let folder = chroots.join(suite.name);
    if !folder.is_dir() {
        build(suite, &folder, &lock)?;
    }
    let apt = Apt::of_chroot(&folder, &lock);
    let missing = apt.missing(&chroot_packages())?;
    if !missing.is_empty() {
        apt.copy_network_files()?;
        apt.install(&missing)?;
    }
    apt.install_for_guests()?;
    let testbed = Testbed::new(Root::at(&folder)).with_context(|| folder.display().to_string())?;
    let version = testbed.version();
    say(&format!("libvirt {version} in {}", folder.display()));
    ensure!(
        version >= suite.version,
        "{} is wanted: remove {} to have it made anew",
        suite.version,
        folder.display()
    );
    if (version.0, version.1) != (suite.version.0, suite.version.1) {
        say(&format!(
            "Debian's {} has moved on from {}: the tests run against {version}",
            suite.name, suite.version
        ));
    }
    report_tools(&testbed);
    Ok(folder)
}

fn chroots_folder() -> Result<PathBuf> {
    let folder = match (env::var_os(CHROOTS), env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(folder), _, _) => PathBuf::from(folder),
        (None, Some(cache), _) => Path::new(&cache).join("virtwire"),
        (None, None, Some(home)) => Path::new(&home).join(".cache/virtwire"),
        (None, None, None) => {
            bail!("neither {CHROOTS} nor XDG_CACHE_HOME nor HOME is set: nowhere to keep a chroot")
        }
    };
    ensure!(folder.is_absolute(), "{} is not an absolute path: it cannot hold chroots", folder.display());
    Ok(folder)
}

fn chroot_packages() -> Vec<&'static str> {
    DAEMON.into_iter().chain(PARTS).chain(TOOLS).chain(SERVICES).collect()
}

/// Makes `folder`, under another name until it is complete: an unfinished one is never taken for a finished one.
fn build(suite: Suite, folder: &Path, lock: &File) -> Result<()> {
    let host = Apt::of_the_machine();
    if !host.root.has_program("debootstrap") {
        ensure!(host.is_there(), "debootstrap is needed to set up libvirt {}: install it", suite.version);
        host.install(&["debootstrap"])?;
    }
    let partial = folder.with_extension("partial");
    if partial.exists() {
        say(&format!("{} is an unfinished set-up: starting again", partial.display()));
        remove(&partial)?;
    }
    let mirror = host.mirror()?;
    let apt = Apt::of_chroot(&partial, lock);
    let mut debootstrap = host.root.command("unshare");
    // Whatever it mounts ends with it, even when it is interrupted.
    debootstrap.args(["--mount", "--propagation", "private", "--", "debootstrap", "--variant=minbase"]);
    let keyring = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    if keyring.is_file() {
        debootstrap.arg(format!("--keyring={}", keyring.display()));
    }
    if mirror.starts_with("https:") {
        debootstrap.arg("--include=ca-certificates");
    }
    debootstrap.arg(suite.name).arg(&partial).arg(&mirror);
    if let Some(proxy) = host.proxy() {
        debootstrap.env("http_proxy", proxy);
    }
    let doing =
        format!("debootstrap {} into {} (takes a minute or two and 700 MB)", suite.name, partial.display());
    apt.step(&doing, debootstrap)?;

    let write = |path: &str, text: &str| {
        let path = partial.join(path);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("etc/apt/sources.list", &format!("deb {mirror} {} main\n", suite.name))?;
    write("etc/apt/apt.conf.d/90host", &host.settings()?)?;
    // No package may start a service.
    write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")?;
    fs::set_permissions(partial.join("usr/sbin/policy-rc.d"), Permissions::from_mode(0o755))?;
    apt.copy_network_files()?;
    apt.install(&chroot_packages())?;
    let mut clean = apt.root.command("apt-get");
    clean.arg("clean");
    apt.step("apt-get clean", clean)?;
    fs::rename(&partial, folder).with_context(|| folder.display().to_string())
}

/// Removes an unfinished chroot, unless something is mounted in it: that would be removed along with it.
fn remove(folder: &Path) -> Result<()> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let inside =
        |line: &str| line.split(' ').nth(4).is_some_and(|point| Path::new(point).starts_with(&folder));
    ensure!(!mounts.lines().any(inside), "something is mounted in {}: unmount it first", folder.display());
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// apt in a system.
struct Apt<'a> {
    root: Root,
    /// What stays locked until the last program that was started is gone, even when this one is killed.
    lock: Option<&'a File>,
}

impl<'a> Apt<'a> {
    fn of_the_machine() -> Self {
        Self { root: Root::system(), lock: None }
    }

    fn of_chroot(folder: &Path, lock: &'a File) -> Self {
        Self { root: Root::at(folder), lock: Some(lock) }
    }

    fn is_there(&self) -> bool {
        self.root.has_program("apt-get") && self.root.has_program("dpkg-query")
    }

    /// Those of `packages` that are not installed.
    fn missing<'p>(&self, packages: &[&'p str]) -> Result<Vec<&'p str>> {
        let mut query = self.root.command("dpkg-query");
        query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(packages);
        // It fails when it does not know one of them, and still shows the others.
        let output = query.output().context("dpkg-query")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let installed: Vec<_> = text.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
        Ok(packages.iter().copied().filter(|package| !installed.contains(package)).collect())
    }

    fn install(&self, packages: &[&str]) -> Result<()> {
        if let Err(error) = self.step("apt-get update", self.get(&["update"])) {
            // A source that has nothing to do with this may be out of reach.
            say(&format!("{error:#}\nxtask: going on with the package lists that are there"));
        }
        if self.root.folder().is_some() {
            // What an interrupted run has left half installed would be in the way.
            let mut configure = self.root.command("dpkg");
            configure.env("DEBIAN_FRONTEND", "noninteractive").args(["--configure", "-a"]);
            self.step("dpkg --configure -a", configure)?;
        }
        let mut install = self.get(&["install", "--yes", "--no-install-recommends"]);
        install.args(packages);
        self.step(&format!("apt-get install {}", packages.join(" ")), install)
    }

    /// Installs what guests need, as far as it can be had: without it, tests are left out.
    fn install_for_guests(&self) -> Result<()> {
        for packages in GUESTS {
            // Asked anew each time, for the step before may have removed one.
            let missing = self.missing(packages)?;
            if missing.is_empty() {
                continue;
            }
            self.copy_network_files()?;
            if let Err(error) = self.install(&missing) {
                say(&format!("{error:#}\nxtask: going on without"));
            }
        }
        Ok(())
    }

    fn get(&self, args: &[&str]) -> Command {
        let mut command = self.root.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        // Scripts of packages start nothing in this one, where no init system says otherwise.
        command.env("RUNLEVEL", "1");
        command.args(["-q", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]);
        command.args(["-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30"]);
        command.args(args);
        command
    }

    /// A mirror of Debian: the one that this system's packages come from.
    fn mirror(&self) -> Result<String> {
        if let Ok(mirror) = env::var(MIRROR) {
            return Ok(mirror);
        }
        let hint = format!("set {MIRROR} to the URL of a Debian mirror");
        let release = fs::read_to_string(self.root.outside("/etc/os-release")).unwrap_or_default();
        let field = |name: &str| {
            let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| value.trim_matches('"').to_owned())
        };
        ensure!(field("ID").as_deref() == Some("debian"), "this is not Debian: {hint}");
        let codename =
            field("VERSION_CODENAME").with_context(|| format!("this Debian has no codename: {hint}"))?;
        if let Some(mirror) = self.source_of(&codename)? {
            return Ok(mirror);
        }
        // Fresh images come without package lists, and apt names only the sources it has lists of.
        self.step("apt-get update", self.get(&["update"]))?;
        self.source_of(&codename)?
            .with_context(|| format!("apt has no source by HTTP for {codename}: {hint}"))
    }

    /// The URL that the packages of the release `codename` come from.
    fn source_of(&self, codename: &str) -> Result<Option<String>> {
        let mut targets = self.root.command("apt-get");
        targets.args(["indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
        let text = virtwire_testbed::run(&mut targets)?;
        let urls = text.lines().filter_map(|line| line.strip_prefix(codename)?.strip_prefix(' '));
        Ok(urls.filter(|url| url.starts_with("http")).map(str::to_owned).next())
    }

    /// Those of this system's settings for downloads that another system on the same network needs too.
    fn settings(&self) -> Result<String> {
        if !self.is_there() {
            return Ok(String::new());
        }
        let text = virtwire_testbed::run(self.root.command("apt-config").args(["dump", "Acquire"]))?;
        let wanted = ["proxy", "check-date", "check-valid-until"];
        let lines = text.lines().filter(|line| wanted.iter().any(|word| line.to_lowercase().contains(word)));
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }

    fn proxy(&self) -> Option<String> {
        let settings = self.settings().ok()?;
        let value = settings.lines().find_map(|line| line.strip_prefix("Acquire::http::Proxy \""))?;
        value.strip_suffix("\";").filter(|proxy| !proxy.is_empty()).map(str::to_owned)
    }

    /// Gives a chroot the machine's way to look up names.
    fn copy_network_files(&self) -> Result<()> {
        if self.root.folder().is_none() {
            return Ok(());
        }
        for file in ["/etc/resolv.conf", "/etc/hosts"] {
            let inside = self.root.outside(file);
            // A link would be followed out of the chroot.
            match fs::remove_file(&inside) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| inside.display().to_string());
                }
                _ => {}
            }
            if Path::new(file).exists() {
                fs::copy(file, &inside).with_context(|| inside.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Runs one step of a set-up: says what it does, how long it took, and, when it fails, the end of its output.
    fn step(&self, doing: &str, mut command: Command) -> Result<()> {
        const LINES: usize = 30;
        say(doing);
        let started = Instant::now();
        // The lock file is empty, so it reads as no input; and whoever has it open has the lock.
        let stdin = self.lock.map(File::try_clone).transpose()?.map_or_else(Stdio::null, Stdio::from);
        let output = command.stdin(stdin).output().with_context(|| doing.to_owned())?;
        if output.status.success() {
            say(&format!("done in {:.1} s", started.elapsed().as_secs_f32()));
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        bail!("{doing}: {}\n{}", output.status, lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }
}

/// Says which tools are missing, and with them their tests.
fn report_tools(testbed: &Testbed) {
    for tool in [Tool::Tshark, Tool::Python, Tool::Sasl, Tool::Qemu, Tool::Sshd, Tool::Netcat] {
        if !testbed.has(tool) {
            say(&format!("without {tool}: the tests that need it are left out"));
        }
    }
}

fn say(what: &str) {
    println!("xtask: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_name_their_suites() {
        assert_eq!("9.0".parse::<Libvirt>().unwrap(), Libvirt::Installed);
        assert_eq!("12.8.0".parse::<Libvirt>().unwrap(), Libvirt::Of(SID));
        assert!("13".parse::<Libvirt>().unwrap_err().to_string().contains("9.0, 11.3, 12.8, none"));
    }

    #[test]
    fn a_folder_with_something_mounted_in_it_is_not_removed() {
        let error = remove(Path::new("/proc")).unwrap_err().to_string();
        assert!(error.contains("something is mounted in /proc"), "{error}");
    }

    #[test]
    fn packages_nobody_has_are_missing() {
        let apt = Apt::of_the_machine();
        if apt.is_there() {
            assert_eq!(
                apt.missing(&["dpkg", "no-such-package-anywhere"]).unwrap(),
                ["no-such-package-anywhere"]
            );
        }
    }
}
