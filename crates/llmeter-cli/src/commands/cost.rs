//! `llmeter cost`.

use anyhow::Result;
use llmeter::cost::CostModel;
use llmeter::storage::Location;
use llmeter::{SavedRun, report};
use serde_json::Map;

use super::show;
use crate::args::CostArguments;
use crate::exit::{Exit, UsageError};
use crate::{output, prices};

pub(crate) fn cost(arguments: &CostArguments) -> Result<Exit> {
    let model = match &arguments.model {
        Some(path) => prices::model_of_file(path)?,
        None => match prices::model(&arguments.prices.settings)? {
            Some(model) => model,
            None => model_of_run(&arguments.folder)?,
        },
    };
    let mut result = show::load(&arguments.folder)?;
    model.apply(&mut result)?;
    let saved = match arguments.write {
        true => result.save(None),
        false => Ok(()),
    };
    // Printed, whatever becomes of the files.
    output::warnings(&result);
    if arguments.json {
        let stats = result.stats_map().into_iter();
        let costs: Map<_, _> = stats.filter(|(key, _)| key.starts_with("cost_")).collect();
        output::json(&costs)?;
    } else {
        output::text(&report::cost_within(&result, output::width()))?;
    }
    match saved {
        Ok(()) => Ok(Exit::Done),
        Err(reason) => {
            output::note(&format!("error: the costs could not be written: {reason}"));
            Ok(Exit::NotSaved)
        }
    }
}

/// The model that the run itself was given.
fn model_of_run(folder: &Location) -> Result<CostModel> {
    let saved = SavedRun::load(folder.clone()).map(|saved| saved.callbacks);
    let callbacks = saved.iter().flatten();
    let mut models = callbacks.filter(|callback| CostModel::is_saved(callback));
    let model = models.next().map(CostModel::from_json).transpose()?;
    model.ok_or_else(|| {
        UsageError(
            "no prices: give --model FILE.json, or --cost-input, --cost-output, \
             --cost-cached-input, --cost-hour; the run itself had none"
                .to_owned(),
        )
        .into()
    })
}
