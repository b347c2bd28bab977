//! The parts of a load, as their folders have them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{MergedPart, refused};
use crate::base::error::{Error, Result};
use crate::load::Shard;
use crate::result::{CONFIG_FILE, OWN_CONFIG_FILE, RunResult};
use crate::run::RUN_ID;
use crate::saved::json;
use crate::storage::Location;

/// In `llmeter.json`, which part of a load a run was.
pub(super) const SHARD: &str = "shard";
/// In `llmeter.json` of a merged run, which parts of a load it is, unless it is the whole.
pub(super) const MERGED_SHARDS: &str = "merged_shards";
/// In `llmeter.json` of a merged run, the runs that it was made of, by their ids.
pub(super) const MERGED_RUNS: &str = "merged_runs";
/// Gaps between shards that are named, at most.
const MAX_GAPS: usize = 10;

/// A part that can be read.
pub(super) struct Part {
    pub(super) location: Location,
    pub(super) result: RunResult,
    /// Its settings: `run_config.json`.
    pub(super) shared: Map<String, Value>,
    /// Its own settings: `llmeter.json`.
    pub(super) own: Map<String, Value>,
    /// What is wrong with its files.
    pub(super) problems: Vec<String>,
}

impl Part {
    /// A part, or why it cannot be merged.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub(super) fn open(location: &Location) -> Result<Result<Self, MergedPart>> {
        let unusable = |problem: String| {
            Ok(Err(MergedPart {
                location: location.clone(),
                requests: 0,
                verdict: None,
                problem: Some(problem),
            }))
        };
        let mut result = match RunResult::load_without_responses(location.clone()) {
            Ok(result) => result,
            Err(Error::NotARun { reason, .. }) => return unusable(reason),
            Err(reason) => return unusable(reason.to_string()),
        };
        let names = location.list_blocking()?;
        let has_lines = names.iter().any(|name| name.starts_with("responses.jsonl"));
        if !has_lines && result.summary.total_requests != Some(0) {
            let problem = "it has no responses.jsonl, without which nothing can be merged";
            return unusable(problem.to_owned());
        }
        let mut problems: Vec<String> = std::mem::take(&mut result.warnings)
            .iter()
            .map(|warning| within(warning, location))
            .collect();
        let mut read = |name: &str| -> Result<Map<String, Value>> {
            let Some(text) = location.join(name).read_if_there()? else {
                return Ok(Map::new());
            };
            json::read(&text).or_else(|reason| {
                // What reads the result looks at one of them, too.
                if !problems.iter().any(|problem| problem.starts_with(name)) {
                    problems.push(format!("{name}: cannot be understood ({reason})"));
                }
                Ok(Map::new())
            })
        };
        let (shared, own) = (read(CONFIG_FILE)?, read(OWN_CONFIG_FILE)?);
        Ok(Ok(Self {
            location: location.clone(),
            result,
            shared,
            own,
            problems,
        }))
    }

    /// What sentences call it.
    pub(super) fn name(&self) -> String {
        let name = self.location.file_name();
        name.unwrap_or_else(|| self.location.to_string())
    }

    /// The runs that it is: itself, and those that were merged to it.
    pub(super) fn runs(&self) -> impl Iterator<Item = &str> {
        let merged = self.own.get(MERGED_RUNS).and_then(Value::as_array);
        let ids = merged.into_iter().flatten().chain(self.own.get(RUN_ID));
        ids.filter_map(Value::as_str)
    }

    /// The parts of a load that it is, with their texts.
    fn shards(&self) -> impl Iterator<Item = Shard> {
        let merged = self.own.get(MERGED_SHARDS).and_then(Value::as_array);
        let texts = merged.into_iter().flatten().chain(self.own.get(SHARD));
        texts.filter_map(|text| text.as_str()?.parse().ok())
    }
}

/// A warning about a file of a folder, without the folder's name.
pub(super) fn within(warning: &str, folder: &Location) -> String {
    let own = warning.strip_prefix(&folder.to_string());
    let own = own.and_then(|rest| rest.strip_prefix('/').or_else(|| rest.strip_prefix(": ")));
    own.unwrap_or(warning).to_owned()
}

/// Makes sure that no run is in two parts, as where a merged run and one of its own parts are given.
///
/// # Errors
/// If one is.
pub(super) fn check_runs(parts: &[Part]) -> Result<()> {
    let mut seen: BTreeMap<&str, &Part> = BTreeMap::new();
    for part in parts {
        for id in part.runs() {
            if let Some(other) = seen.insert(id, part) {
                return Err(counted_twice(&part.location, &other.location));
            }
        }
    }
    Ok(())
}

/// That the responses of one part are in another one as well.
pub(super) fn counted_twice(part: &Location, other: &Location) -> Error {
    let reason = format!("it has responses that {other} has, too, and they would count twice");
    Error::refused(format!("part {part}"), reason)
}

/// The shards that parts are, if they say so.
#[derive(Debug, Default)]
pub(super) struct Shards {
    of: usize,
    there: BTreeSet<usize>,
}

impl Shards {
    /// # Errors
    /// If two parts are the same shard, or parts are shards of different numbers.
    pub(super) fn of(parts: &[Part]) -> Result<Self> {
        let mut of = None;
        let mut there = BTreeSet::new();
        for part in parts {
            for shard in part.shards() {
                let given = || format!("{} (shard {shard})", part.location);
                if *of.get_or_insert(shard.of) != shard.of {
                    let expected = "shards of one load, so of the same number";
                    return Err(refused("part", given(), expected));
                }
                if !there.insert(shard.index) {
                    return Err(refused("part", given(), "each shard once"));
                }
            }
        }
        Ok(Self {
            of: of.unwrap_or(0),
            there,
        })
    }

    /// Whether parts say which they are.
    pub(super) fn are_known(&self) -> bool {
        self.of > 0
    }

    fn gaps(&self) -> Vec<(usize, usize)> {
        let mut gaps: Vec<(usize, usize)> = Vec::new();
        for index in (1..=self.of).filter(|index| !self.there.contains(index)) {
            match gaps.last_mut() {
                Some((_, last)) if *last + 1 == index => *last = index,
                _ => gaps.push((index, index)),
            }
        }
        gaps
    }

    /// Shards of the load that no part is, in words.
    pub(super) fn missing(&self) -> Vec<String> {
        let (of, gaps) = (self.of, self.gaps());
        let named = gaps
            .iter()
            .take(MAX_GAPS)
            .map(|(first, last)| match first == last {
                true => format!("shard {first}/{of} is missing"),
                false => format!("shards {first} to {last} of {of} are missing"),
            });
        let left_out = gaps.len().saturating_sub(MAX_GAPS);
        let more = (left_out > 0).then(|| format!("and {left_out} more gaps between shards"));
        named.chain(more).collect()
    }

    /// The only shard that is missing.
    pub(super) fn only_missing(&self) -> Option<Shard> {
        match self.gaps().as_slice() {
            [(index, last)] if index == last => Some(Shard {
                index: *index,
                of: self.of,
            }),
            _ => None,
        }
    }

    /// Those that are there, as a merged run that is not the whole load has them.
    pub(super) fn to_json(&self) -> Option<Value> {
        let of = self.of;
        let is_part = self.there.len() < of;
        is_part.then(|| {
            let shards = self.there.iter().map(|&index| Shard { index, of });
            shards.map(|shard| Value::from(shard.to_string())).collect()
        })
    }
}
