//! `llmeter baseline`.

use anyhow::Result;
use jiff::tz::TimeZone;
use llmeter::catalog::Catalog;
use llmeter::experiment::Baselines;
use llmeter::report;

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
            let names = baselines.list()?;
            if names.is_empty() {
                let folder = baselines.folder().display();
                output::note(&format!("there are no baselines in {folder}"));
                return Ok(Exit::Done);
            }
            let catalog = Catalog::scan(&baselines.folder().into())?;
            let entries = catalog.entries.iter();
            let entries: Vec<_> = entries.filter(|one| names.contains(&one.name)).collect();
            let zone = TimeZone::system();
            output::table(&report::baselines_within(&entries, output::width(), &zone))?;
        }
        BaselineCommand::Remove { name } => baselines.remove(name)?,
    }
    Ok(Exit::Done)
}
