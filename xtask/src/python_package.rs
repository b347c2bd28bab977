//! The Python package: its extension beside the sources, for tests, and its wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::test::{
    PYTHON_VARIABLE, base_python, cargo, python as python_of_tests, run, target_folder,
    workspace_root,
};

/// What makes the wheel and checks it. Nothing of it is needed for tests.
const TOOLS: [&str; 3] = ["maturin==1.16.0", "twine==7.0.0", "abi3audit==0.0.26"];
/// Tells which systems a wheel for Linux needs.
const AUDITOR: &str = "auditwheel==6.8.2";
/// A C compiler and linker for older systems than this one.
const ZIG: &str = "ziglang==0.17.1";
/// What the wheel for many systems needs on Linux: the glibc of 2012, the oldest that Rust supports.
const BASELINE: &str = "manylinux_2_17";
/// The extension as cargo builds it.
const LIBRARY: &str = match cfg!(target_os = "macos") {
    true => "libllmeter_core.dylib",
    false => "libllmeter_core.so",
};
/// The extension as Python looks for it.
const EXTENSION: &str = "llmeter/_core.abi3.so";
/// The largest wheel, in MB.
const MAX_WHEEL: u64 = 25;
/// What a wheel must be able to do in an environment that has nothing else.
const SMOKE: &str = "
import asyncio, llmeter
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner
with llmeter.simulate(ttft=0.001, itl=0.0005, output_tokens=8) as server:
    endpoint = OpenAICompletionStreamEndpoint('any', base_url=server.base_url, api_key='none')
    payload = endpoint.create_payload('Hello', max_tokens=8)
    result = asyncio.run(Runner(endpoint, payload=payload, clients=2, n_requests=5).run())
assert result.total_requests == 10 and result.stats['failed_requests'] == 0, result.stats
print('llmeter', llmeter.__version__, result.stats['measurement_verdict'])
";

#[derive(Args)]
pub(crate) struct WheelArguments {
    /// Optimize across crates, as for a release; takes longer
    #[arg(long)]
    dist: bool,
    /// On Linux, build for glibc 2.17 and newer by zig's C compiler and linker, which builds all
    /// dependencies anew; otherwise for this machine's
    #[arg(long)]
    manylinux: bool,
}

/// Builds the extension for tests and puts it beside the package's sources; gives the folder that Python
/// is to look into.
pub(crate) fn extension(root: &Path) -> Result<PathBuf> {
    // With the examples, since it then has the features that tests have, and shares their builds.
    run(cargo(root).args(["build", "--workspace", "--lib", "--examples"]))?;
    let built = target_folder(root).join("debug").join(LIBRARY);
    let sources = root.join("python");
    let place = sources.join(EXTENSION);
    if fs::symlink_metadata(&place).is_ok() {
        fs::remove_file(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    }
    // A link where there are some: the library has the size of the whole program.
    #[cfg(unix)]
    std::os::unix::fs::symlink(&built, &place)
        .with_context(|| format!("cannot link {}", place.display()))?;
    #[cfg(not(unix))]
    fs::copy(&built, &place).with_context(|| format!("cannot copy to {}", place.display()))?;
    Ok(sources)
}

/// The command line and, in a folder that Python is to look into, the package, both as they are released.
pub(crate) fn released(root: &Path) -> Result<(PathBuf, PathBuf)> {
    // What `maturin` builds, and what it builds of the command line.
    let packages = ["--package", "llmeter-python", "--package", "llmeter-cli"];
    run(cargo(root).args(["build", "--release"]).args(packages))?;
    let built = target_folder(root).join("release");
    let folder = target_folder(root).join("released");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    copy_sources(&root.join("python/llmeter"), &folder.join("llmeter"))?;
    let place = folder.join(EXTENSION);
    fs::copy(built.join(LIBRARY), &place)
        .with_context(|| format!("cannot copy to {}", place.display()))?;
    Ok((built.join("llmeter"), folder))
}

/// Copies the Python files of a folder.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copy_sources(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            fs::copy(&path, to.join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}

/// The Python with the packages that tests need: the one that is named, or one that is made.
pub(crate) fn test_python(root: &Path) -> Result<PathBuf> {
    match std::env::var_os(PYTHON_VARIABLE).filter(|python| !python.is_empty()) {
        Some(python) => Ok(python.into()),
        None => python_of_tests(root),
    }
}

/// `cargo xtask python`: the extension alone.
pub(crate) fn python() -> Result<()> {
    let sources = extension(&workspace_root()?)?;
    println!("PYTHONPATH={}", sources.display());
    Ok(())
}

/// `cargo xtask wheel`: makes the wheel, checks it, and tries it in a fresh environment.
pub(crate) fn wheel(arguments: &WheelArguments) -> Result<()> {
    let root = workspace_root()?;
    let folder = target_folder(&root).join("wheel");
    let tools = environment(&folder.join("tools"))?;
    pip(&tools, TOOLS)?;
    let is_linux = cfg!(target_os = "linux");
    ensure!(
        is_linux || !arguments.manylinux,
        "--manylinux is for Linux alone"
    );
    if is_linux {
        pip(&tools, [AUDITOR])?;
    }
    if arguments.manylinux {
        pip(&tools, [ZIG])?;
    }
    let out = folder.join("dist");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let profile = if arguments.dist { "dist" } else { "release" };
    let mut maturin = tool(&tools, "maturin");
    maturin
        .current_dir(&root)
        .args(["build", "--profile", profile]);
    maturin.args(["--compatibility", "pypi"]);
    if arguments.manylinux {
        maturin.args([BASELINE, "--zig"]);
    }
    succeed(maturin.arg("--out").arg(&out))?;
    let wheel = only_wheel(&out)?;
    succeed(
        tool(&tools, "twine")
            .args(["check", "--strict"])
            .arg(&wheel),
    )?;
    succeed(tool(&tools, "abi3audit").args(["--strict"]).arg(&wheel))?;
    if is_linux {
        audit(&tools, &wheel, arguments.manylinux)?;
    }
    let size = fs::metadata(&wheel)?.len();
    ensure!(
        size <= MAX_WHEEL * 1_000_000,
        "{} has {:.1} MB, which is more than {MAX_WHEEL}",
        wheel.display(),
        size as f64 / 1e6
    );
    let fresh = environment(&folder.join("fresh"))?;
    pip(&fresh, [wheel.as_os_str()])?;
    succeed(Command::new(&fresh).args(["-c", SMOKE]))?;
    succeed(Command::new(&fresh).args(["-m", "llmeter", "--version"]))?;
    succeed(tool(&fresh, "llmeter").arg("--version"))?;
    tests(&root, &fresh)?;
    println!("{} ({:.1} MB)", wheel.display(), size as f64 / 1e6);
    Ok(())
}

/// Shows which systems the wheel needs, which are none newer than the baseline's if it is to be for many.
fn audit(tools: &Path, wheel: &Path, is_for_many: bool) -> Result<()> {
    let told = tool(tools, "auditwheel").arg("show").arg(wheel).output();
    let told = told.context("cannot start auditwheel")?;
    let text = String::from_utf8_lossy(&told.stdout);
    print!("{text}{}", String::from_utf8_lossy(&told.stderr));
    ensure!(told.status.success(), "auditwheel failed");
    ensure!(
        !is_for_many || text.contains(&format!("\"{BASELINE}_{}\"", std::env::consts::ARCH)),
        "the wheel does not fit {BASELINE}"
    );
    Ok(())
}

/// The tests of the package, by an environment that has it installed and borrows what tests need.
fn tests(root: &Path, fresh: &Path) -> Result<()> {
    let purelib = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site_packages = |python: &Path| -> Result<PathBuf> {
        let told = Command::new(python).args(["-c", purelib]).output()?;
        Ok(String::from_utf8(told.stdout)?.trim().into())
    };
    let lent = site_packages(&test_python(root)?)?;
    let borrowed = site_packages(fresh)?.join("tests.pth");
    // What the environment has itself comes before.
    let lend = format!(
        "import site; site.addsitedir({:?})\n",
        lent.display().to_string()
    );
    fs::write(&borrowed, lend).with_context(|| format!("cannot write {}", borrowed.display()))?;
    let python = || {
        let mut python = Command::new(fresh);
        python
            .current_dir(root)
            .env_remove("PYTHONPATH")
            .env_remove("OPENAI_API_KEY")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "*")
            .env("LLMETER_DISABLE_ALL_PROGRESS_BARS", "1");
        python
    };
    let pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
    succeed(python().args(pytest).arg("tests/python/package"))?;
    succeed(python().arg("tests/python/upstream/run.py"))
}

/// The Python of a new environment.
fn environment(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    succeed(
        Command::new(base_python()?)
            .args(["-m", "venv"])
            .arg(folder),
    )?;
    Ok(folder.join("bin/python"))
}

fn pip(
    python: &Path,
    packages: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) -> Result<()> {
    let mut install = Command::new(python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]);
    succeed(install.args(packages))
}

/// A program of an environment.
fn tool(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python.with_file_name(name));
    // Some look for others on the path.
    if let Some(folder) = python.parent() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
    }
    command
}

fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    ensure!(status.success(), "{name} failed");
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let files =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let files = files.collect::<std::io::Result<Vec<_>>>()?;
    let mut wheels = files.iter().map(fs::DirEntry::path);
    match wheels.find(|file| file.extension().is_some_and(|extension| extension == "whl")) {
        Some(wheel) => Ok(wheel),
        None => bail!("maturin made no wheel in {}", folder.display()),
    }
}
