//! The workflows of GitHub Actions.

use super::{README, REPOSITORY, has, python};
use crate::support::{shellcheck, skip};

const RELEASE: &str = include_str!("../../.github/workflows/release.yml");
const CI: &str = include_str!("../../.github/workflows/ci.yml");

/// Prints the scripts of a workflow, each terminated by NUL.
const SCRIPTS: &str = "
import sys, yaml
for job in yaml.safe_load(sys.stdin)['jobs'].values():
    for step in job['steps']:
        if 'run' in step: sys.stdout.write(step['run'].strip() + '\\n\\0')
";

fn scripts(workflow: &str) -> Option<Vec<String>> {
    let scripts = python(SCRIPTS, workflow)?;
    Some(scripts.split_terminator('\0').map(str::to_owned).collect())
}

#[test]
fn workflow_scripts_are_sound_shell() {
    for workflow in [RELEASE, CI] {
        let Some(scripts) = scripts(workflow) else { return };
        assert!(!scripts.is_empty());
        // Expressions belong in env, where a value cannot become code.
        assert!(scripts.iter().all(|script| !script.contains("${{")), "{scripts:#?}");
        shellcheck(scripts.into_iter());
    }
}

#[test]
fn ci_runs_the_checks_of_a_change() {
    assert!(CI.contains("\n      - run: .ci/run\n"));
}

/// The README copies `/ipcbox` from the image and downloads `ipcbox-x86_64`.
#[test]
fn release_has_the_files_of_the_readme() {
    let image = format!("ghcr.io/{}", REPOSITORY.strip_prefix("https://github.com/").unwrap());
    assert!(README.contains(&format!("COPY --from={image}:")) && README.contains(" /ipcbox /usr/local/bin/\n"));
    assert!(RELEASE.contains("--tag \"ghcr.io/$GITHUB_REPOSITORY:${GITHUB_REF_NAME#v}\""));
    assert!(RELEASE.contains("\"COPY \\$TARGETARCH/ipcbox /ipcbox\""));
    for arch in ["x86_64", "aarch64"] {
        assert!(
            RELEASE.contains(&format!("arch: {arch} }}")) && RELEASE.contains(&format!("install -D ipcbox-{arch} "))
        );
    }
    assert!(RELEASE.contains("\"packed/ipcbox-$ARCH\""));
}

/// Runs the step that compares the tag with the version, and the one that computes the checksums.
#[test]
fn release_steps_run_here() {
    let Some(scripts) = scripts(RELEASE) else { return };
    let find = |word: &str| scripts.iter().find(|script| script.contains(word)).unwrap();
    let world = crate::support::World::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let tag = |tag: &str| world.program("bash").args(["-ec", find("Cargo.toml")]).dir(root).env("GITHUB_REF_NAME", tag);
    tag(concat!("v", env!("CARGO_PKG_VERSION"))).ok();
    tag("v9.9.9").status(1);
    world.file("ipcbox-x86_64", "binary");
    world.program("bash").args(["-ec", find("sha256sum")]).ok();
    world.program("sha256sum").args(["-c", "SHA256SUMS"]).stdout("ipcbox-x86_64: OK\n").ok();
    if !has("docker") {
        skip("needs docker to build the image");
    }
}
