//! `cargo xtask deny`: what may be depended on, by the rules of `deny.toml`.
//!
//! cargo-deny checks them where it is installed, security advisories included. Elsewhere its rules on
//! licences and bans are checked here, and that packages come from crates.io.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::test::{cargo, has, run, workspace_root};

/// The parts of `deny.toml` that are checked here.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

/// A package that is built into something.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
    /// Where it comes from, unless that is crates.io.
    source: Option<String>,
}

pub(crate) fn deny() -> Result<()> {
    let root = workspace_root()?;
    if has(&root, "deny") {
        run(cargo(&root).args(["deny", "check", "bans", "licenses", "sources"]))?;
        if run(cargo(&root).args(["deny", "fetch", "db"])).is_err() {
            eprintln!("the advisory database is out of reach: advisories are not checked");
            return Ok(());
        }
        return run(cargo(&root).args(["deny", "check", "--disable-fetch", "advisories"]));
    }

    let rules = std::fs::read_to_string(root.join("deny.toml")).context("cannot read deny.toml")?;
    // Cargo.lock also lists packages that no feature turns on; the tree has only those that are used.
    let output = cargo(&root)
        .args(["tree", "--locked", "--workspace", "--all-features"])
        .args(["--target=all", "--edges=normal,build,dev"])
        .args(["--prefix=none", "--format={p}|{l}"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed");
    let tree = String::from_utf8(output.stdout)?;
    let packages: BTreeSet<Package> = tree.lines().filter_map(package).collect();
    let refused = refusals(&toml::from_str(&rules)?, &packages);
    ensure!(
        refused.is_empty(),
        "against deny.toml:\n{}",
        refused.join("\n")
    );
    Ok(())
}

/// A line of the tree: `serde_derive v1.0.0 (proc-macro)|MIT OR Apache-2.0 (*)`. `None` for features
/// and for packages of the workspace.
fn package(line: &str) -> Option<Package> {
    let (package, license) = line.split_once('|')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?);
    let source = words
        .next()
        .unwrap_or_default()
        .trim_start_matches("(proc-macro)")
        .trim();
    if source.starts_with("(/") || source.contains(":\\") {
        return None;
    }
    Some(Package {
        name: name.to_owned(),
        version: version.to_owned(),
        license: license.trim_end_matches(" (*)").to_owned(),
        source: (!source.is_empty()).then(|| source.to_owned()),
    })
}

fn refusals<'p>(rules: &Rules, packages: impl IntoIterator<Item = &'p Package>) -> Vec<String> {
    let mut refused = Vec::new();
    for Package {
        name,
        version,
        license,
        source,
    } in packages
    {
        let mut refuse = |reason: String| refused.push(format!("{name} {version}: {reason}"));
        if let Some(banned) = rules.bans.deny.iter().find(|banned| banned.name == *name) {
            refuse(format!("banned: {}", banned.reason));
        }
        if let Some(source) = source {
            refuse(format!("comes from {source}"));
        }
        if !is_allowed(license, &rules.licenses.allow) {
            refuse(format!("licence {license:?}"));
        }
    }
    refused
}

/// Whether an SPDX expression can be met with the licences in `allowed`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // Old packages write a slash for OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut is_met = all(rest, allowed);
    while let Some(after) = rest.strip_prefix(&["OR"]) {
        *rest = after;
        is_met |= all(rest, allowed);
    }
    is_met
}

fn all(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut is_met = one(rest, allowed);
    while let Some(after) = rest.strip_prefix(&["AND"]) {
        *rest = after;
        is_met &= one(rest, allowed);
    }
    is_met
}

fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    match **rest {
        ["(", ref inner @ ..] => {
            *rest = inner;
            let is_met = any(rest, allowed);
            match rest.strip_prefix(&[")"]) {
                Some(after) => *rest = after,
                None => return false,
            }
            is_met
        }
        // An exception grants more than the licence alone.
        [license, "WITH", exception, ref after @ ..] => {
            *rest = after;
            let with = format!("{license} WITH {exception}");
            allowed
                .iter()
                .any(|known| known == license || *known == with)
        }
        [license, ref after @ ..] => {
            *rest = after;
            allowed.iter().any(|known| known == license)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_licences_are_understood() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
        for (expression, is_met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT/GPL-3.0", true),
            ("GPL-3.0 OR Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("GPL-3.0 OR MIT AND GPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("(MIT", false),
            ("MIT MIT", false),
            ("none", false),
        ] {
            assert_eq!(
                super::is_allowed(expression, &allowed),
                is_met,
                "{expression}"
            );
        }
    }

    #[test]
    fn packages_against_the_rules_are_named() {
        let rules: Rules = toml::from_str(include_str!("../../deny.toml")).unwrap();
        let tree = "\
            llmeter v0.1.0 (/home/me/llmeter/crates/llmeter)|Apache-2.0\n\
            llmeter feature \"aws\"\n\
            serde_derive v1.0.0 (proc-macro)|MIT OR Apache-2.0 (*)\n\
            aws-lc-rs v1.19.0|ISC AND (Apache-2.0 OR ISC)\n\
            secretive v1.0.0|Proprietary (*)\n\
            forked v1.0.0 (https://example.org/forked#1234)|MIT\n";
        let packages: Vec<_> = tree.lines().filter_map(package).collect();
        let names: Vec<_> = packages
            .iter()
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(names, ["serde_derive", "aws-lc-rs", "secretive", "forked"]);
        let refused = refusals(&rules, &packages);
        let names: Vec<_> = refused
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(names, ["aws-lc-rs", "secretive", "forked"]);
    }
}
