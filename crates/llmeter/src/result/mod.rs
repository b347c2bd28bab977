//! What a run leaves behind, in memory and on disk.
//!
//! Belongs here: [`RunResult`], the files of a run folder, here or in the cloud, their reading and
//! writing in the format of the Python system (0.1.12 and 0.2.0).
//! Does not belong here: how statistics are made (`stats`), what a configuration means (`run`),
//! how files and objects are read and written (`storage`), tables and charts (`report`).

mod callback_failure;
mod cloud_folder;
mod datetime;
mod dimension;
mod earlier;
mod failures;
mod find;
mod folder;
mod line_reader;
mod line_writer;
mod load;
mod local_folder;
mod merged_lines;
mod mirror;
mod quality;
mod responses_file;
mod run_result;
mod run_summary;
mod saved_folder;
#[cfg(feature = "view")]
mod tail;
mod unwritten;

use crate::saved::json;
pub use callback_failure::CallbackFailure;
pub(crate) use datetime::to_text as time_text;
pub use earlier::take as take_folder;
pub(crate) use earlier::{AB_FILE, CAPACITY_FILE, HEATMAP_FILE};
pub use failures::FailureGroup;
pub(crate) use failures::FailureTally;
pub use find::find_runs;
pub(crate) use find::{FoundFile, FoundFolder, find_folders};
pub(crate) use folder::{
    CONFIG_FILE, PAYLOAD_FILE, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE, payload_lines,
};
pub use folder::{OWN_CONFIG_FILE, RUN_FILES, RunFolder};
pub use line_reader::response_from_json;
pub use line_writer::response_to_json;
pub(crate) use line_writer::write_gaps;
pub(crate) use load::{configured, each_response as read_responses_of, each_whole_response};
pub(crate) use merged_lines::merge_lines;
pub use mirror::staging_folders;
pub use quality::{MeasurementQuality, Spread, Verdict};
pub use responses_file::ResponsesWriter;
pub use run_result::RunResult;
pub use run_summary::RunSummary;
#[cfg(feature = "view")]
pub(crate) use tail::{Followed, PartsTail, ResponsesTail};
pub use unwritten::Unwritten;
