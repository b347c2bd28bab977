//! The way of a result to a tracking server: experiment, run, contents, end.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::rest::Server;
use super::server::{EXPERIMENT_ID, EXPERIMENT_NAME, Lookup, RUN_ID};
use super::{MlflowError, Settings, artifacts, content};
use crate::RunResult;
use llmeter_wire::clock;

/// The experiment that every server has.
const DEFAULT_EXPERIMENT: &str = "0";
const LOOKING_UP_RUN: &str = "looking up the run";
const LOOKING_UP_PARENT: &str = "looking up the parent run";
/// The maximum of metrics in one request, as the server has it.
const METRICS_AT_ONCE: usize = 1000;
/// Tags in one request: the longest ones together stay below the server's megabyte.
const TAGS_AT_ONCE: usize = 10;

/// A run on the server.
#[derive(Deserialize)]
struct Run {
    #[serde(rename = "run_id")]
    id: String,
    experiment_id: String,
    artifact_uri: String,
    lifecycle_stage: Option<String>,
    /// Whether llmeter made it, and therefore ends it.
    #[serde(skip)]
    is_new: bool,
}

#[derive(Deserialize)]
struct RunResponse {
    run: RunInfo,
}

#[derive(Deserialize)]
struct RunInfo {
    info: Run,
}

#[derive(Deserialize)]
struct ExperimentInfo {
    experiment_id: String,
    lifecycle_stage: Option<String>,
}

#[derive(Deserialize)]
struct ExperimentResponse {
    experiment: ExperimentInfo,
}

/// Which run on the server a result goes to.
enum Target {
    /// A run that is there.
    Run(String),
    /// A new one.
    New(Experiment),
    /// A new one below another, in an experiment or the parent's own.
    Child(String, Option<Experiment>),
}

enum Experiment {
    Name(String),
    Id(String),
}

impl Target {
    fn of(settings: &Settings, lookup: Lookup<'_>) -> Result<Self, MlflowError> {
        let named = settings.experiment.clone().map(Experiment::Name);
        if settings.nested {
            return Ok(Self::Child(settings.parent(lookup)?, named));
        }
        if let Some(id) = settings.run_id.clone().or_else(|| lookup(RUN_ID)) {
            return Ok(Self::Run(id));
        }
        let experiment = named
            .or_else(|| lookup(EXPERIMENT_NAME).map(Experiment::Name))
            .or_else(|| lookup(EXPERIMENT_ID).map(Experiment::Id));
        let default = || Experiment::Id(DEFAULT_EXPERIMENT.to_owned());
        Ok(Self::New(experiment.unwrap_or_else(default)))
    }
}

/// Makes sure that the server answers, lets these credentials in, and has what a result is to be
/// logged to. Only an experiment that is named may be missing: it is made then.
pub(super) async fn check(
    server: &Server,
    settings: &Settings,
    lookup: Lookup<'_>,
) -> Result<(), MlflowError> {
    let experiment = match Target::of(settings, lookup)? {
        Target::Run(id) => return get_run(server, LOOKING_UP_RUN, &id).await.map(drop),
        Target::New(experiment) => experiment,
        Target::Child(parent, experiment) => {
            get_run(server, LOOKING_UP_PARENT, &parent).await?;
            match experiment {
                Some(experiment) => experiment,
                None => return Ok(()),
            }
        }
    };
    find_experiment(server, &experiment).await.map(drop)
}

/// Logs a result; tells where it can be seen. What the server refuses of it does not keep the rest
/// from being logged.
///
/// # Errors
/// The first failure.
pub(super) async fn log(
    server: &Server,
    settings: &Settings,
    lookup: Lookup<'_>,
    result: &RunResult,
) -> Result<String, MlflowError> {
    let stats = result.stats_map();
    let run = open(server, settings, lookup, result).await?;
    let filled = fill(server, settings, result, &stats, &run).await;
    let status = match &filled {
        Ok(()) => content::status(result, &stats),
        Err(_) => "FAILED",
    };
    let ended = if run.is_new && may_go_on(&filled) {
        end(server, &run, status, result).await
    } else {
        Ok(())
    };
    let page = server.page(&run.experiment_id, &run.id);
    match filled.and(ended) {
        Ok(()) => Ok(page),
        Err(reason) => Err(MlflowError::InRun {
            run: run.id,
            page,
            reason: Box::new(reason),
        }),
    }
}

fn may_go_on(so_far: &Result<(), MlflowError>) -> bool {
    so_far
        .as_ref()
        .err()
        .is_none_or(MlflowError::concerns_one_request)
}

async fn fill(
    server: &Server,
    settings: &Settings,
    result: &RunResult,
    stats: &Map<String, Value>,
    run: &Run,
) -> Result<(), MlflowError> {
    // The figures first: they matter most, and never contradict what the run holds already.
    let end = result.summary.end_time.unwrap_or_else(clock::wall);
    let metrics = content::metrics(stats, settings.step, end.as_millisecond());
    let mut so_far = batches(server, run, "metrics", &metrics, METRICS_AT_ONCE).await;
    if may_go_on(&so_far) {
        let tags = content::own_tags(result, stats, &settings.tags);
        let tags = content::as_list(&tags);
        so_far = so_far.and(batches(server, run, "tags", &tags, TAGS_AT_ONCE).await);
    }
    if may_go_on(&so_far) {
        so_far = so_far.and(params(server, run, stats).await);
    }
    if may_go_on(&so_far) && settings.artifacts {
        let uploaded = artifacts::upload(server, &run.artifact_uri, result).await;
        so_far = so_far.and(uploaded);
    }
    so_far
}

async fn batches(
    server: &Server,
    run: &Run,
    kind: &'static str,
    all: &[Value],
    at_once: usize,
) -> Result<(), MlflowError> {
    let action = match kind {
        "metrics" => "logging metrics",
        "tags" => "logging tags",
        _ => "logging parameters",
    };
    for some in all.chunks(at_once) {
        let body = json!({"run_id": run.id, kind: some});
        let logged = server.post::<IgnoredAny>(action, "runs/log-batch", &body);
        logged.await?;
    }
    Ok(())
}

async fn params(server: &Server, run: &Run, stats: &Map<String, Value>) -> Result<(), MlflowError> {
    let longest = content::longest_param(stats);
    let mut limits = content::PARAM_LIMITS.into_iter();
    loop {
        let limit = limits.next().unwrap_or(0);
        let params = content::params(stats, limit);
        match batches(server, run, "params", &params, params.len()).await {
            // An older server takes shorter values only.
            Err(reason)
                if reason.has_code("INVALID_PARAMETER_VALUE")
                    && limits.clone().next().is_some_and(|next| longest > next)
                    && run.is_new => {}
            Err(MlflowError::Refused {
                action,
                server,
                status,
                code,
                message,
            }) if !run.is_new && code == "INVALID_PARAMETER_VALUE" => {
                return Err(MlflowError::Refused {
                    action,
                    server,
                    status,
                    code,
                    message: format!(
                        "{message}; a run's parameters are set once: to log several runs, give \
                         each one of its own, with nested = true below a parent run"
                    ),
                });
            }
            done => return done,
        }
    }
}

/// The run to log into, made if need be.
async fn open(
    server: &Server,
    settings: &Settings,
    lookup: Lookup<'_>,
    result: &RunResult,
) -> Result<Run, MlflowError> {
    match Target::of(settings, lookup)? {
        Target::Run(id) => get_run(server, LOOKING_UP_RUN, &id).await,
        Target::New(experiment) => {
            let experiment = experiment_id(server, experiment).await?;
            create(server, lookup, result, experiment, None).await
        }
        Target::Child(parent, experiment) => {
            let parent_run = get_run(server, LOOKING_UP_PARENT, &parent).await?;
            let experiment = match experiment {
                Some(experiment) => experiment_id(server, experiment).await?,
                // Where MLflow shows a child below its parent.
                None => parent_run.experiment_id,
            };
            create(server, lookup, result, experiment, Some(&parent)).await
        }
    }
}

/// The id of an experiment; one that is named is made if it is missing.
async fn experiment_id(server: &Server, experiment: Experiment) -> Result<String, MlflowError> {
    let name = match &experiment {
        Experiment::Id(id) => return Ok(id.clone()),
        Experiment::Name(name) => name,
    };
    if let Some(id) = find_experiment(server, &experiment).await? {
        return Ok(id);
    }
    let body = json!({"name": name});
    let created =
        server.post::<ExperimentInfo>("creating the experiment", "experiments/create", &body);
    match created.await {
        Ok(created) => Ok(created.experiment_id),
        // Somebody else was faster.
        Err(reason) if reason.has_code("RESOURCE_ALREADY_EXISTS") => {
            find_experiment(server, &experiment).await?.ok_or(reason)
        }
        Err(reason) => Err(reason),
    }
}

/// The id of an experiment that is there; `None` if none has that name.
async fn find_experiment(
    server: &Server,
    experiment: &Experiment,
) -> Result<Option<String>, MlflowError> {
    let (endpoint, key, value) = match experiment {
        Experiment::Name(name) => ("experiments/get-by-name", "experiment_name", name),
        Experiment::Id(id) => ("experiments/get", "experiment_id", id),
    };
    let query = [(key, value.as_str())];
    let found = server.get::<ExperimentResponse>("looking up the experiment", endpoint, &query);
    let found = match found.await {
        Ok(found) => found.experiment,
        Err(reason)
            if reason.has_code("RESOURCE_DOES_NOT_EXIST")
                && matches!(experiment, Experiment::Name(_)) =>
        {
            return Ok(None);
        }
        Err(reason) => return Err(reason),
    };
    if found.lifecycle_stage.as_deref() == Some("deleted") {
        return Err(MlflowError::Setting(format!(
            "experiment: {value:?} is not usable: it was deleted on {server}; restore it, or name \
             another"
        )));
    }
    Ok(Some(found.experiment_id))
}

async fn get_run(server: &Server, action: &'static str, id: &str) -> Result<Run, MlflowError> {
    let query = [("run_id", id)];
    let found = server.get::<RunResponse>(action, "runs/get", &query);
    let run = found.await?.run.info;
    if run.lifecycle_stage.as_deref() == Some("deleted") {
        return Err(MlflowError::Setting(format!(
            "run {id} was deleted on {server}; restore it, or name another"
        )));
    }
    Ok(run)
}

async fn create(
    server: &Server,
    lookup: Lookup<'_>,
    result: &RunResult,
    experiment_id: String,
    parent: Option<&str>,
) -> Result<Run, MlflowError> {
    let action = "creating the run";
    let summary = &result.summary;
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(lookup);
    let start = summary.start_time.unwrap_or_else(clock::wall);
    let mut body = json!({
        "experiment_id": experiment_id,
        "start_time": start.as_millisecond(),
        "tags": content::as_list(&content::source_tags(result, parent, user)),
    });
    if let Some(name) = &summary.run_name {
        body["run_name"] = name.as_str().into();
    }
    let created = server.post::<RunResponse>(action, "runs/create", &body);
    Ok(Run {
        is_new: true,
        ..created.await?.run.info
    })
}

async fn end(
    server: &Server,
    run: &Run,
    status: &str,
    result: &RunResult,
) -> Result<(), MlflowError> {
    let time = result.summary.end_time.unwrap_or_else(clock::wall);
    let body = json!({"run_id": run.id, "status": status, "end_time": time.as_millisecond()});
    let ended = server.post::<IgnoredAny>("ending the run", "runs/update", &body);
    ended.await.map(drop)
}
