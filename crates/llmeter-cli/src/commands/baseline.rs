//! `llmeter baseline`.

use anyhow::Result;
use llmeter::experiment::Baselines;

use crate::args::{BaselineArguments, BaselineCommand};
use crate::exit::Exit;
use crate::output;

pub(crate) fn baseline(arguments: &BaselineArguments) -> Result<Exit> {
    let baselines = Baselines::of_project("");
    match &arguments.command {
        BaselineCommand::Save {
            name,
            folder,
            overwrite,
        } => {
            let place = baselines.save(name, folder.clone(), *overwrite)?;
            output::note(&format!(
                "saved in {}; `llmeter compare --baseline {name} DIR` compares with it",
                place.display()
            ));
        }
        BaselineCommand::List => {
            for name in baselines.list()? {
                output::text(&format!("{name}\n"))?;
            }
        }
        BaselineCommand::Remove { name } => baselines.remove(name)?,
    }
    Ok(Exit::Done)
}
