//! `cargo xtask layers`: imports only look down.
//!
//! Sources are read as tokens: every path that begins with `crate::`, or climbs out of its module by
//! `super::`, is an import of the module that it leads to. Tests may see everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::source::{self, Import};
use crate::test::workspace_root;

/// The crates, lowest first. Each may depend on those before it.
const CRATES: &[&str] = &[
    "llmeter-kernel",
    "llmeter-wire",
    "llmeter-testing",
    "llmeter",
    "llmeter-sim",
    "llmeter-cli",
    "llmeter-python",
];

/// The modules of `llmeter`, lowest first. Each may use those before it and its own group.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["aws"],
    &["storage"],
    &["saved"],
    &["payload"],
    &["api", "endpoint"],
    &["stats"],
    &["result"],
    &["data"],
    &["load", "callback", "cost", "run"],
    &["probe", "experiment"],
    &["catalog"],
    &["report", "export"],
    &["mlflow", "view"],
];

/// Tables of the crate's root, which everyone may read.
const ROOT_TABLES: &[&str] = &["CALLBACKS"];

pub(crate) fn layers() -> Result<()> {
    let root = workspace_root()?;
    crates(&root)?;

    let mut report = String::new();
    for edge in upward_imports(&root.join("crates/llmeter/src"))? {
        let file = edge.file.strip_prefix(&root).unwrap_or(&edge.file);
        let (line, from, to) = (edge.line, edge.from, edge.to);
        writeln!(report, "{}:{line}: {from} -> {to}", file.display())?;
    }
    ensure!(
        report.is_empty(),
        "imports against the layers (xtask/src/layers.rs has their order):\n{report}"
    );
    Ok(())
}

/// An import of a module in a higher layer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    file: PathBuf,
    line: usize,
    from: String,
    to: String,
}

fn upward_imports(sources: &Path) -> Result<BTreeSet<Edge>> {
    let rank: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(rank, group)| group.iter().map(move |module| (*module, rank)))
        .collect();
    let code = |file: &Path| {
        source::code(&read(file)?).with_context(|| format!("cannot parse {}", file.display()))
    };
    let lib = code(&sources.join("lib.rs"))?;
    for module in source::modules(&lib) {
        ensure!(
            rank.contains_key(module.as_str()),
            "the module {module} has no layer: give it one in xtask/src/layers.rs"
        );
    }
    let exports = source::exports(&lib);

    let mut edges = BTreeSet::new();
    for file in rust_files(sources)? {
        let module = module_path(sources, &file)?;
        let Some(&own) = module.first().and_then(|name| rank.get(name.as_str())) else {
            continue;
        };
        if module.iter().any(|name| name == "tests") {
            continue;
        }
        for Import { line, path } in source::imports(&code(&file)?, &module) {
            // What the root re-exports is the module's that defines it.
            let first = &path[0];
            let to = exports.get(first).unwrap_or(first);
            match rank.get(to.as_str()) {
                Some(&other) if other > own => {
                    edges.insert(Edge {
                        file: file.clone(),
                        line,
                        from: module[0].clone(),
                        to: to.clone(),
                    });
                }
                // The root registers what every layer brings, so that none has to name one above it.
                None if ROOT_TABLES.contains(&to.as_str()) => {}
                // Lower crates, which have no layers here.
                None if !to.starts_with("llmeter_") => bail!(
                    "{}:{line}: crate::{first} is neither a module nor re-exported by name",
                    file.display()
                ),
                _ => {}
            }
        }
    }
    Ok(edges)
}

/// Checks that no crate depends on one above it.
fn crates(root: &Path) -> Result<()> {
    for (rank, name) in CRATES.iter().enumerate() {
        let manifest = root.join("crates").join(name).join("Cargo.toml");
        let manifest: toml::Table = read(&manifest)?.parse()?;
        let mut tables = vec![manifest.get("dependencies")];
        if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
            tables.extend(targets.values().map(|target| target.get("dependencies")));
        }
        let dependencies = tables
            .into_iter()
            .flatten()
            .filter_map(|table| table.as_table());
        for dependency in dependencies.flat_map(toml::Table::keys) {
            let above = CRATES.iter().position(|name| name == dependency);
            ensure!(
                above.is_none_or(|above| above < rank),
                "crates/{name}/Cargo.toml: {name} -> {dependency}"
            );
            // A fault of a clock that judge and judged share would cancel out.
            ensure!(
                (*name, dependency.as_str()) != ("llmeter-sim", "llmeter-wire"),
                "crates/{name}/Cargo.toml: the simulator has a clock of its own"
            );
        }
    }
    Ok(())
}

/// `run::client` of `run/client.rs` and `run/client/mod.rs`.
fn module_path(sources: &Path, file: &Path) -> Result<Vec<String>> {
    let inner = file.strip_prefix(sources)?.with_extension("");
    let names = inner.iter().map(|name| name.to_string_lossy().into_owned());
    Ok(names
        .filter(|name| name != "mod" && name != "lib")
        .collect())
}

/// The sources in a folder, at any depth.
pub(crate) fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_against_the_layers_is_found_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file(
            "lib.rs",
            "mod base;\npub mod run;\nmod stats;\npub use run::Runner;\n",
        );
        file("base/mod.rs", "//! crate::run is no import here.\n");
        file(
            "stats/deep/down.rs",
            "use crate::base::Error;\n\
             use super::super::super::{base, run::{Runner, Load}};\n\
             const TEXT: &str = \"crate::run\";\n\
             fn f() { let _ = crate::Runner; }\n\
             #[cfg(test)]\nmod tests { use crate::run::Load; }\n",
        );
        file("run/tests.rs", "use crate::report::summary;\n");
        let edges = upward_imports(folder.path()).unwrap();
        let found: Vec<_> = edges
            .iter()
            .map(|edge| (edge.line, edge.from.as_str(), edge.to.as_str()))
            .collect();
        assert_eq!(found, [(2, "stats", "run"), (4, "stats", "run")]);
    }

    #[test]
    fn a_module_without_a_layer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lib.rs"), "mod base;\nmod attic;\n").unwrap();
        let reason = upward_imports(folder.path()).unwrap_err();
        assert!(reason.to_string().contains("attic"), "{reason}");
    }
}
