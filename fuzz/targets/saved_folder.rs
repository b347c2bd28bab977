//! Folders of runs.
#![no_main]

use llmeter_fuzz::SavedFolder;

thread_local! {
    static FOLDER: SavedFolder = SavedFolder::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| FOLDER.with(|folder| folder.run(bytes)));
