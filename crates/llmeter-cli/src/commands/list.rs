//! `llmeter list`.

use anyhow::Result;
use jiff::tz::TimeZone;
use llmeter::catalog::{Catalog, Entry, Filter, Order, SortKey, parse_since};
use llmeter::report;
use llmeter::storage::Location;
use llmeter::wire::clock;
use serde_json::Value;

use crate::args::{ListArguments, ListFormat};
use crate::exit::{Exit, UsageError};
use crate::{cache, output};

pub(crate) fn list(arguments: &ListArguments) -> Result<Exit> {
    output::set_ascii(arguments.ascii);
    let filter = filter(arguments)?;
    let catalog = scan(&arguments.folder)?;
    let order = Order::by(arguments.sort.clone());
    let order = match arguments.reverse {
        true => order.reversed(),
        false => order,
    };
    let chosen = catalog.chosen(&filter, &order);
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let shown = &chosen[..chosen.len().min(limit)];
    match arguments.format {
        ListFormat::Json => output::json_text(&json(arguments, shown)?)?,
        ListFormat::Csv => output::raw(&report::list_csv(shown))?,
        ListFormat::Text if shown.is_empty() => {
            let folder = &arguments.folder;
            let such = if catalog.entries.is_empty() {
                ""
            } else {
                " such"
            };
            output::note(&format!("there are no{such} runs in {folder}"));
        }
        ListFormat::Text => {
            let zone = TimeZone::system();
            // Nothing in the table acts on a terminal.
            output::table(&report::list_within(shown, output::width(), &zone))?;
            if shown.len() < chosen.len() {
                output::note(&format!("{} more", chosen.len() - shown.len()));
            }
        }
    }
    unread(&catalog);
    Ok(Exit::Done)
}

/// Folders that could not be read, of which a few are named.
fn unread(catalog: &Catalog) {
    const NAMED: usize = 5;
    for reason in catalog.unread.iter().take(NAMED) {
        output::note(&format!("left out: {reason}"));
    }
    if let Some(more) = catalog
        .unread
        .len()
        .checked_sub(NAMED)
        .filter(|more| *more > 0)
    {
        output::note(&format!(
            "left out: {more} more folders that could not be read"
        ));
    }
}

/// Looks through a folder; what is found is kept for the next time.
pub(super) fn scan(folder: &Location) -> Result<Catalog> {
    Ok(match cache::of_runs(folder) {
        Some(file) => Catalog::scan_with_cache(folder, &file)?,
        None => Catalog::scan(folder)?,
    })
}

fn filter(arguments: &ListArguments) -> Result<Filter> {
    let mut filter = Filter::default();
    for condition in &arguments.conditions {
        filter = filter.condition(condition.clone());
    }
    if let Some(model) = &arguments.model {
        filter = filter.model(model);
    }
    if let Some(since) = &arguments.since {
        let since = parse_since(since, clock::wall(), &TimeZone::system());
        filter = filter.since(since.map_err(|reason| UsageError(format!("--{reason}")))?);
    }
    Ok(filter)
}

/// The entries with the figures that lists have, and those that were asked for.
fn json(arguments: &ListArguments, entries: &[&Entry]) -> Result<String> {
    let mut asked: Vec<String> = arguments
        .conditions
        .iter()
        .map(|condition| condition.figure().key())
        .collect();
    if let SortKey::Figure(figure) = &arguments.sort {
        asked.push(figure.key());
    }
    let is_wanted = |key: &str| report::is_listed(key) || asked.iter().any(|asked| asked == key);
    let entries = entries.iter().map(|entry| entry.to_json(&is_wanted));
    let entries: Vec<Value> = entries.map(Value::Object).collect();
    Ok(serde_json::to_string_pretty(&entries)?)
}
