//! `llmeter callbacks`.

use anyhow::Result;
use llmeter::callback;
use llmeter::cost::CostModel;
use llmeter::saved::{Field, Kind, SavedObject};
use serde_json::Value;

use crate::args::{CallbacksArguments, CallbacksCommand};
use crate::exit::{Exit, UsageError};
use crate::output;

pub(crate) fn callbacks(arguments: &CallbacksArguments) -> Result<Exit> {
    match &arguments.command {
        None => list(),
        Some(CallbacksCommand::New {
            name,
            sagemaker_endpoint: Some(endpoint),
            region,
        }) => of_sagemaker(name, endpoint, region.as_deref()),
        Some(CallbacksCommand::New { name, .. }) => new(name),
    }
}

fn list() -> Result<Exit> {
    let mut text = String::new();
    for kind in callback::kinds() {
        text.push_str(&format!("{}\n", kind.name()));
        if !kind.about.is_empty() {
            text.push_str(&format!("  {}\n", kind.about));
        }
        text.push_str(&fields(kind.fields, output::width()));
        text.push('\n');
    }
    text.push_str(
        "`llmeter callbacks new NAME > FILE.json` writes a template file, and\n\
         `llmeter run --callback FILE.json` uses it.\n",
    );
    output::text(&text)?;
    Ok(Exit::Done)
}

/// Names of fields with what they mean beside them, or below where that does not fit `columns`.
fn fields(fields: &[Field], columns: usize) -> String {
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let width = longest(&mut fields.iter().map(|field| field.name.len()));
    let words = fields
        .iter()
        .flat_map(|field| field.about.split_whitespace());
    let fits = 4 + width + 2 + longest(&mut words.map(|word| word.chars().count())) <= columns;
    let line = |field: &Field| match fits {
        true => format!("    {:width$}  {}\n", field.name, field.about),
        false => format!("    {}\n      {}\n", field.name, field.about),
    };
    fields.iter().map(line).collect()
}

/// The costs of a SageMaker endpoint.
fn of_sagemaker(name: &str, endpoint: &str, region: Option<&str>) -> Result<Exit> {
    if !name.eq_ignore_ascii_case("CostModel") {
        let reason = format!("--sagemaker-endpoint only applies to CostModel, not to {name}");
        return Err(UsageError(reason).into());
    }
    print(&SavedObject::of(&sagemaker_model(endpoint, region)?)?)
}

#[cfg(feature = "aws")]
fn sagemaker_model(endpoint: &str, region: Option<&str>) -> llmeter::Result<CostModel> {
    CostModel::from_sagemaker_endpoint(endpoint, region)
}

#[cfg(not(feature = "aws"))]
fn sagemaker_model(endpoint: &str, _: Option<&str>) -> llmeter::Result<CostModel> {
    let what = endpoint.to_owned();
    let feature = "aws";
    Err(llmeter::Error::MissingFeature { what, feature })
}

/// Prints what a file of a callback holds.
fn print(callback: &SavedObject) -> Result<Exit> {
    if let Value::Object(envelope) = callback.to_json() {
        output::json(&envelope)?;
    }
    Ok(Exit::Done)
}

fn new(name: &str) -> Result<Exit> {
    let kinds = callback::kinds();
    let kind = kinds
        .iter()
        .find(|kind| kind.class == name || kind.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let names: Vec<_> = kinds.iter().map(Kind::name).collect();
            UsageError(format!(
                "{name}: no such callback; the types are {}",
                names.join(", ")
            ))
        })?;
    match &kind.template {
        Some(template) => print(template),
        None => Err(UsageError(format!("{} has no template", kind.name())).into()),
    }
}

#[cfg(test)]
mod tests {
    use llmeter::report;

    use super::*;

    #[test]
    fn the_list_fits_a_narrow_terminal() {
        for columns in [40, 60, 80] {
            for kind in callback::kinds() {
                let text = report::fitted(&fields(kind.fields, columns), columns);
                let widest = text.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(columns), "{columns}: {text}");
            }
        }
    }
}
