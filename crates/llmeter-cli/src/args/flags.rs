//! The flags of settings, made from the library's table.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use llmeter::api::ApiMode;
use llmeter::payload::ExtraFields;
use llmeter::{RunSettings, Setting, SettingGroup, SettingKind};
use serde_json::Value;

use super::parse_duration;
use crate::exit;

/// Which settings a command takes.
pub(crate) trait Subset: Send + Sync {
    fn has(setting: Setting) -> bool;

    /// Whether it takes `[[workload]]` tables of a file.
    fn takes_workloads() -> bool {
        false
    }
}

/// The settings of a command as its flags give them.
pub(crate) struct Flags<S> {
    pub(crate) settings: RunSettings,
    subset: PhantomData<S>,
}

impl<S> Clone for Flags<S> {
    fn clone(&self) -> Self {
        self.settings.clone().into()
    }
}

impl<S> From<RunSettings> for Flags<S> {
    fn from(settings: RunSettings) -> Self {
        Self {
            settings,
            subset: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Flags<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(formatter)
    }
}

/// Other names of a flag.
struct Alias {
    setting: Setting,
    letter: Option<char>,
    /// What help shows.
    shown: &'static [&'static str],
    /// What earlier versions called it.
    old: &'static [&'static str],
}

const fn alias(setting: Setting, letter: Option<char>, shown: &'static [&'static str]) -> Alias {
    Alias {
        setting,
        letter,
        shown,
        old: &[],
    }
}

const ALIASES: &[Alias] = &[
    alias(Setting::BaseUrl, None, &["url"]),
    alias(Setting::Clients, Some('c'), &["concurrency"]),
    alias(Setting::Requests, Some('n'), &[]),
    alias(Setting::Output, Some('o'), &[]),
    Alias {
        old: &["lanes"],
        ..alias(Setting::Workers, None, &[])
    },
];

/// What the command line can say beyond the library's help.
fn command_line_help(setting: Setting) -> &'static str {
    match setting {
        Setting::Image | Setting::Extra => "`llmeter payload` shows the result.",
        Setting::Mlflow => "`llmeter callbacks` lists what a callback file can set beyond this.",
        Setting::CostInput => {
            "Other dimensions of cost: `llmeter callbacks new CostModel`, and --callback."
        }
        _ => "",
    }
}

fn heading(group: SettingGroup) -> &'static str {
    match group {
        SettingGroup::Endpoint => "Endpoint",
        SettingGroup::CustomApi => "Custom API (--endpoint http)",
        SettingGroup::Payload => "Payload",
        SettingGroup::Load => "Load",
        SettingGroup::Callbacks => "Callbacks",
        SettingGroup::Costs => "Costs",
        SettingGroup::Measurement => "Measurement",
        _ => "Output",
    }
}

/// Settings of a run that are flags; callbacks are tables of a file.
fn flags<S: Subset>() -> impl Iterator<Item = Setting> {
    let settings = Setting::ALL.iter().copied();
    settings.filter(|setting| setting.kind() != SettingKind::Tables && S::has(*setting))
}

/// `base-url`.
fn long(setting: Setting) -> &'static str {
    static NAMES: LazyLock<Vec<(Setting, String)>> = LazyLock::new(|| {
        let settings = Setting::ALL.iter();
        settings
            .map(|setting| (*setting, setting.name().replace('_', "-")))
            .collect()
    });
    let named = NAMES.iter().find(|(known, _)| *known == setting);
    named.map_or(setting.name(), |(_, name)| name)
}

fn flag<S: Subset>(setting: Setting) -> Arg {
    let more = [setting.more_help(), command_line_help(setting)].join(" ");
    let mut arg = Arg::new(setting.name())
        .long(long(setting))
        .help(setting.help())
        .help_heading(heading(setting.group()));
    if !more.trim().is_empty() {
        arg = arg.long_help(format!("{}\n\n{}", setting.help(), more.trim()));
    }
    if let Some(alias) = ALIASES.iter().find(|alias| alias.setting == setting) {
        arg = arg.visible_aliases(alias.shown).aliases(alias.old);
        if let Some(letter) = alias.letter {
            arg = arg.short(letter);
        }
    }
    let others = setting.excludes().iter().filter(|other| S::has(**other));
    arg = arg.conflicts_with_all(others.map(|other| other.name()));
    if setting.kind() != SettingKind::Switch {
        arg = arg.value_name(setting.value_name());
    }
    match setting.kind() {
        SettingKind::Switch => arg.action(ArgAction::SetTrue),
        // A negative one is for the check of its range to refuse.
        SettingKind::Count => arg.value_parser(parse_count).allow_negative_numbers(true),
        SettingKind::CountOrTime => arg
            .value_parser(parse_count_or_time)
            .allow_negative_numbers(true),
        SettingKind::Number if setting == Setting::StopOnErrorRate => {
            arg.value_parser(parse_share).allow_negative_numbers(true)
        }
        SettingKind::Number => arg.value_parser(parse_number).allow_negative_numbers(true),
        SettingKind::Time => arg
            .value_parser(|text: &str| parse_duration(text).map(|_| text.to_owned()))
            .allow_negative_numbers(true),
        SettingKind::Choice(names) => arg.value_parser(names.to_vec()),
        SettingKind::Api => {
            let value = |api: ApiMode| PossibleValue::new(api.name).help(api.about());
            arg.value_parser(ApiMode::all().map(value).collect::<Vec<_>>())
        }
        SettingKind::Texts | SettingKind::Files | SettingKind::Conditions | SettingKind::Calls => {
            arg.action(ArgAction::Append)
        }
        SettingKind::Expressions => arg.action(ArgAction::Append).value_parser(parse_place),
        SettingKind::Fields => arg.action(ArgAction::Append).value_parser(parse_assignment),
        SettingKind::Address => arg.num_args(0..=1).default_missing_value(""),
        _ => arg,
    }
}

fn value(matches: &ArgMatches, setting: Setting) -> Option<Value> {
    let id = setting.name();
    Some(match setting.kind() {
        SettingKind::Switch => matches.get_flag(id).then_some(true.into())?,
        SettingKind::Count => (*matches.get_one::<u64>(id)?).into(),
        SettingKind::Number => (*matches.get_one::<f64>(id)?).into(),
        SettingKind::Texts
        | SettingKind::Files
        | SettingKind::Conditions
        | SettingKind::Calls
        | SettingKind::Expressions
        | SettingKind::Fields => {
            let values = matches.get_many::<String>(id)?;
            values.map(String::as_str).collect()
        }
        _ => matches.get_one::<String>(id)?.as_str().into(),
    })
}

impl<S: Subset> clap::Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        command.args(flags::<S>().map(flag::<S>))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Subset> clap::FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = RunSettings::default();
        for setting in flags::<S>() {
            if let Some(value) = value(matches, setting) {
                settings.set(setting, &value).map_err(|reason| {
                    let mut said = reason.with_setting_names(&exit::flag);
                    if let Some(hint) = reason.hint() {
                        let hint = Setting::rename_all(hint, &exit::flag);
                        said.push_str(&format!("\nhint: {hint}"));
                    }
                    clap::Error::raw(ErrorKind::ValueValidation, said)
                })?;
            }
        }
        Ok(settings.into())
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn parse_count(text: &str) -> Result<u64, String> {
    let refused = |_| "expected a whole number of 0 or more".to_owned();
    text.parse().map_err(refused)
}

/// `10`, or `10s`.
fn parse_count_or_time(text: &str) -> Result<String, String> {
    let is_time = || parse_duration(text).is_ok() && text.parse::<f64>().is_err();
    match text.parse::<u64>().is_ok() || is_time() {
        true => Ok(text.to_owned()),
        false => Err("expected a whole number of 0 or more, or a time like 10s".to_owned()),
    }
}

fn parse_number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number".to_owned())
}

/// `0.3`, or `30%`.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = match text.strip_suffix('%') {
        Some(percent) => parse_number(percent.trim_end()).map(|percent| percent / 100.0),
        None => parse_number(text),
    };
    share.map_err(|_| "expected a share like 30% or 0.3".to_owned())
}

/// `PART=EXPRESSION`.
fn parse_place(text: &str) -> Result<String, String> {
    match text.contains('=') {
        true => Ok(text.to_owned()),
        false => Err("expected a place like text=choices[0].text".to_owned()),
    }
}

/// `FIELD=VALUE`.
fn parse_assignment(text: &str) -> Result<String, String> {
    match ExtraFields::check_assignment(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(expected) => Err(format!("expected {expected}")),
    }
}

/// Every setting: `run`.
#[derive(Debug)]
pub(crate) enum OfRun {}

impl Subset for OfRun {
    fn has(_: Setting) -> bool {
        true
    }

    fn takes_workloads() -> bool {
        true
    }
}

/// What the runs of a load test share: `load-test`, which has clients of its own.
#[derive(Debug)]
pub(crate) enum OfLoadTest {}

/// Loads of conversations.
fn is_of_sessions(setting: Setting) -> bool {
    matches!(
        setting,
        Setting::Sessions | Setting::SessionRate | Setting::MaxSessions
    ) || is_of_conversations(setting)
}

/// How conversations go on.
fn is_of_conversations(setting: Setting) -> bool {
    matches!(
        setting,
        Setting::ThinkTime | Setting::History | Setting::SessionHeader | Setting::SessionField
    )
}

impl Subset for OfLoadTest {
    fn has(setting: Setting) -> bool {
        !is_of_sessions(setting)
            && !matches!(
                setting,
                Setting::Clients
                    | Setting::Replay
                    | Setting::Speed
                    | Setting::Window
                    | Setting::Rate
                    | Setting::Arrivals
                    | Setting::MaxInFlight
                    | Setting::Stages
                    | Setting::Calibrate
                    | Setting::Until
                    | Setting::MaxRequests
                    | Setting::MaxDuration
                    | Setting::Shard
            )
    }
}

/// What the probes of a search share: `capacity`, which decides by itself how much they send.
#[derive(Debug)]
pub(crate) enum OfCapacity {}

impl Subset for OfCapacity {
    fn has(setting: Setting) -> bool {
        setting == Setting::Arrivals
            || is_of_conversations(setting)
            || OfLoadTest::has(setting)
                && !matches!(
                    setting,
                    Setting::Requests | Setting::Duration | Setting::FailIf
                )
    }
}

/// The run of a spike: `spike`, whose load has stages of its own.
#[derive(Debug)]
pub(crate) enum OfSpike {}

impl Subset for OfSpike {
    fn has(setting: Setting) -> bool {
        let of_load = matches!(
            setting,
            Setting::Rate | Setting::Clients | Setting::Arrivals | Setting::MaxInFlight
        );
        let of_others = matches!(
            setting,
            Setting::Requests | Setting::Duration | Setting::LowMemory
        );
        of_load || OfLoadTest::has(setting) && !of_others
    }
}

/// The runs of a test for drift: `drift`, which sends every payload from every client.
#[derive(Debug)]
pub(crate) enum OfDrift {}

impl Subset for OfDrift {
    fn has(setting: Setting) -> bool {
        let of_others = matches!(
            setting,
            Setting::Requests
                | Setting::Duration
                | Setting::LowMemory
                | Setting::Data
                | Setting::DataColumns
                | Setting::DataFilter
                | Setting::DataSample
                | Setting::Cancel
                | Setting::ReadRate
        );
        setting == Setting::Clients || OfLoadTest::has(setting) && !of_others
    }
}

/// The run of a cold start: `cold-start`, which has one client.
#[derive(Debug)]
pub(crate) enum OfColdStart {}

impl Subset for OfColdStart {
    fn has(setting: Setting) -> bool {
        OfLoadTest::has(setting)
            && !matches!(
                setting,
                Setting::Requests
                    | Setting::Duration
                    | Setting::Warmup
                    | Setting::WaitUntilReady
                    | Setting::BeforeRun
                    | Setting::LowMemory
                    | Setting::Cancel
                    | Setting::ReadRate
            )
    }
}

/// What the blocks of an A/B test share: `ab`, whose answer is the test's own.
#[derive(Debug)]
pub(crate) enum OfAb {}

impl Subset for OfAb {
    fn has(setting: Setting) -> bool {
        OfLoadTest::has(setting)
    }
}

/// The run of a heatmap: `heatmap`, which makes its own payloads and sends each once.
#[derive(Debug)]
pub(crate) enum OfHeatmap {}

impl Subset for OfHeatmap {
    fn has(setting: Setting) -> bool {
        !is_of_sessions(setting)
            && !matches!(
                setting,
                Setting::Prompt
                    | Setting::Image
                    | Setting::Document
                    | Setting::Audio
                    | Setting::Video
                    | Setting::Payload
                    | Setting::Data
                    | Setting::DataColumns
                    | Setting::DataFilter
                    | Setting::DataSample
                    | Setting::Replay
                    | Setting::Speed
                    | Setting::Window
                    | Setting::ForceOutputLength
                    | Setting::MaxTokens
                    | Setting::Rate
                    | Setting::Arrivals
                    | Setting::MaxInFlight
                    | Setting::Stages
                    | Setting::Requests
                    | Setting::Duration
                    | Setting::Until
                    | Setting::MaxRequests
                    | Setting::MaxDuration
                    | Setting::LowMemory
                    | Setting::Shard
                    | Setting::Calibrate
            )
    }
}

/// Endpoint and payload: `payload`.
#[derive(Debug)]
pub(crate) enum OfPayload {}

impl Subset for OfPayload {
    fn has(setting: Setting) -> bool {
        let group = setting.group();
        matches!(
            group,
            SettingGroup::Endpoint | SettingGroup::CustomApi | SettingGroup::Payload
        ) && !matches!(
            setting,
            Setting::Tokenizer
                | Setting::Balance
                | Setting::Data
                | Setting::DataColumns
                | Setting::DataFilter
                | Setting::DataSample
                | Setting::Replay
                | Setting::Speed
                | Setting::Window
                | Setting::ForceOutputLength
        )
    }
}

/// What a single request needs: `probe`.
#[derive(Debug)]
pub(crate) enum OfProbe {}

impl Subset for OfProbe {
    fn has(setting: Setting) -> bool {
        OfPayload::has(setting)
            || matches!(
                setting,
                Setting::Tokenizer | Setting::Timeout | Setting::Stamps
            )
    }
}

/// What data depends on: `data`, which names it apart.
#[derive(Debug)]
pub(crate) enum OfData {}

impl Subset for OfData {
    fn has(setting: Setting) -> bool {
        matches!(
            setting,
            Setting::Endpoint
                | Setting::System
                | Setting::DataColumns
                | Setting::DataFilter
                | Setting::DataSample
                | Setting::Speed
                | Setting::Window
                | Setting::ForceOutputLength
                | Setting::MaxTokens
                | Setting::Extra
                | Setting::Tokenizer
                | Setting::Seed
        )
    }
}

/// What a saved run is judged by: `show`.
#[derive(Debug)]
pub(crate) enum OfShow {}

impl Subset for OfShow {
    fn has(setting: Setting) -> bool {
        setting.kind() == SettingKind::Conditions
    }
}

/// Prices: `cost`.
#[derive(Debug)]
pub(crate) enum OfCost {}

impl Subset for OfCost {
    fn has(setting: Setting) -> bool {
        setting.group() == SettingGroup::Costs && setting != Setting::MaxCost
    }
}

/// Where a saved run is logged: `mlflow`.
#[derive(Debug)]
pub(crate) enum OfMlflow {}

impl Subset for OfMlflow {
    fn has(setting: Setting) -> bool {
        matches!(
            setting,
            Setting::Mlflow | Setting::MlflowExperiment | Setting::MlflowArtifacts
        )
    }
}
