//! What users link is built without a C compiler, and without C libraries.

use std::path::Path;
use std::process::Command;

/// Crates that compile C, look for C libraries, or bind them.
fn is_c(name: &str) -> bool {
    let builds = ["cc", "cmake", "bindgen", "pkg-config", "vcpkg", "autotools", "nasm-rs", "system-deps"];
    // Numbers of the kernel's, and Windows' own import tables: no library is built or looked for.
    let plain = ["linux-raw-sys", "windows-sys", "js-sys", "web-sys"];
    builds.contains(&name) || (name.ends_with("-sys") && !plain.contains(&name)) || name == "libvirt"
}

#[test]
fn no_crate_that_users_link_is_or_builds_c() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for package in ["virtwire", "virtwire-server", "virtwire-embedded", "virtwire-cli", "virtwire-proto"] {
        let tree = Command::new(env!("CARGO"))
            .current_dir(&workspace)
            .args(["tree", "--offline", "--locked", "--all-features", "--prefix", "none"])
            .args(["--edges", "normal,build", "--format", "{p}", "--package", package])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&tree.stdout);
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&package), "{text}");
        let c: Vec<_> = names.into_iter().filter(|name| is_c(name)).collect();
        assert!(c.is_empty(), "{package} links or builds with {c:?}");
    }
}
