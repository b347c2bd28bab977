//! The outcome of a heatmap.

use super::grid::{self, HeatmapGrid, HeatmapTable};
use crate::base::error::{Error, Result};
use crate::experiment::plan_file;
use crate::result::{HEATMAP_FILE, RunResult};
use crate::storage::Location;

/// The outcome of a heatmap: one run over all combinations.
#[derive(Debug, Clone)]
pub struct HeatmapResult {
    /// The run.
    pub result: RunResult,
    /// What was to be measured.
    pub grid: HeatmapGrid,
}

impl HeatmapResult {
    /// Loads a heatmap from its run folder.
    ///
    /// # Errors
    /// When the folder holds no run, or not that of a heatmap.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let grid = plan_file::read(&folder, HEATMAP_FILE)?;
        Ok(Self {
            result: RunResult::load(folder)?,
            grid,
        })
    }

    /// Whether a folder is that of a heatmap.
    pub fn is_in(folder: &Location) -> bool {
        plan_file::is_in(folder, HEATMAP_FILE)
    }

    /// The cells by the lengths that were asked for.
    pub fn nominal(&self) -> HeatmapTable {
        self.grid
            .nominal(&self.result.responses, self.result.slos())
    }

    /// The cells by the tokens that were counted, in so many bins of input and of output tokens. Failed
    /// requests are in none.
    pub fn measured(&self, input_bins: usize, output_bins: usize) -> HeatmapTable {
        let (responses, slos) = (&self.result.responses, self.result.slos());
        grid::measured(responses, slos, input_bins, output_bins)
    }

    /// Requests that were to be sent and were not, as after an interruption.
    pub fn missing(&self) -> u64 {
        let planned = self.grid.combinations.len() as u64;
        planned.saturating_sub(self.result.responses.len() as u64)
    }

    pub(super) fn save_grid(folder: &Location, grid: &HeatmapGrid) -> Result<()> {
        // One entry for each request: compact.
        let text = serde_json::to_vec(grid).map_err(|_| Error::Internal("a grid is not JSON"))?;
        folder.join(HEATMAP_FILE).write_blocking(text)
    }
}
