//! What a release consists of: the version and the links in every place, the workflows, the packages, and the lines of
//! the README that install them.

mod packages;
mod snippets;
mod workflows;

use ipcbox::applets::APPLETS;

use crate::support::{Call, skip};

const MANIFEST: &str = include_str!("../../Cargo.toml");
const README: &str = include_str!("../../README.md");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a script of python that needs the module yaml, with this text as standard input. Returns its output, or `None`
/// with a skip reported.
fn python(script: &str, input: &str) -> Option<String> {
    if !Call::new("python3").args(["-c", "import yaml"]).output().status.success() {
        skip("needs python3 and its module yaml");
        return None;
    }
    Some(Call::new("python3").args(["-c", script]).input(input).ok())
}

/// Returns whether a program is in PATH.
fn has(program: &str) -> bool {
    !Call::new("/bin/sh").args(["-c", "command -v \"$0\"", program]).output().stdout.is_empty()
}

#[test]
fn every_place_has_this_version() {
    for start in [&*format!("{REPOSITORY}/releases/download/v"), "COPY --from=ghcr.io/ipcbox/ipcbox:"] {
        for rest in README.split(start).skip(1) {
            assert!(rest.starts_with(VERSION), "{start}{}", &rest[..20]);
        }
    }
    let changes = include_str!("../../CHANGELOG.md");
    assert!(changes.contains(&format!("\n## [{VERSION}] - 20")), "CHANGELOG.md has no section {VERSION}");
}

#[test]
fn packages_have_a_link_for_each_applet() {
    for applet in APPLETS {
        let name = applet.name;
        for link in [
            format!("{{ link_name = \"ipcbox\", dest = \"usr/bin/ipcbox-{name}\" }}"),
            format!("{{ link_name = \"ipcbox\", dest = \"usr/share/bash-completion/completions/ipcbox-{name}\" }}"),
            format!(
                "{{ link_name = \"ipcbox.fish\", dest = \"usr/share/fish/vendor_completions.d/ipcbox-{name}.fish\" }}"
            ),
        ] {
            assert!(MANIFEST.contains(&link), "{link}");
        }
    }
}
