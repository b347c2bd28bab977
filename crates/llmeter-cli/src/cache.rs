//! Where files are kept that only make the next call faster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use llmeter::storage::Location;

/// The file with what is known of the runs below a folder; `None` where there is no place for it.
pub(crate) fn of_runs(folder: &Location) -> Option<PathBuf> {
    // The same folder by another path is the same one.
    let shown = match folder.local_path() {
        Some(path) => path.canonicalize().ok()?.display().to_string(),
        None => folder.to_string(),
    };
    let name = format!("runs-{:016x}.json", digest(shown.as_bytes()));
    Some(place()?.join("llmeter").join(name))
}

/// The user's folder for such files.
fn place() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return set("LOCALAPPDATA").and_then(absolute);
    }
    let own = set("XDG_CACHE_HOME").and_then(absolute);
    let below = match cfg!(target_os = "macos") {
        true => "Library/Caches",
        false => ".cache",
    };
    own.or_else(|| Some(Path::new(&set("HOME")?).join(below)))
}

/// FNV-1a, 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
