//! What a linker can do for the size of the binary, where it can: a release build is a megabyte smaller when functions
//! that are the same are there once, and two more when relocations are packed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const ONE_OF_EACH: &str = "-Wl,--icf=all";
/// Loaders of glibc before 2.36 cannot unpack them, so that releases for other machines (`dist`) do without.
const PACKED: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_for_here = env::var("TARGET").ok() == env::var("HOST").ok();
    let (true, true, true) = (
        is("CARGO_CFG_TARGET_OS", "linux"),
        is("PROFILE", "release"),
        is_for_here,
    ) else {
        return;
    };
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    // `target/PROFILE/build/PACKAGE/out`.
    let profile = out.ancestors().nth(3).and_then(Path::file_name);
    let options: &[&str] = match profile.is_some_and(|name| name == "release") {
        true => &[ONE_OF_EACH, PACKED],
        false => &[ONE_OF_EACH],
    };
    for option in options.iter().filter(|option| links(&out, option)) {
        println!("cargo::rustc-link-arg-bins={option}");
    }
}

/// Whether a program that is linked so runs.
fn links(out: &Path, option: &str) -> bool {
    let (source, program) = (out.join("probe.rs"), out.join("probe"));
    let Some(compiler) = env::var_os("RUSTC") else {
        return false;
    };
    if std::fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut compile = Command::new(compiler);
    compile.arg(&source).arg("-o").arg(&program);
    compile.args(["-C", &format!("link-arg={option}")]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        compile
            .arg("-C")
            .arg(format!("linker={}", linker.to_string_lossy()));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    compile.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    let succeeds = |command: &mut Command| command.output().is_ok_and(|said| said.status.success());
    succeeds(&mut compile) && succeeds(&mut Command::new(&program))
}
