//! The values of settings as files write them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Object;
use crate::api::ApiMode;
use crate::base::setting::{BEFORE_RUN, Setting, SettingKind};
use crate::load::{
    Arrivals, Balance, Cancellation, History, Rate, Shard, SlowReaders, StageLevel, Stages,
    ThinkTime,
};
use crate::payload::ExtraFields;
use crate::run::{Connections, ServerCall, Warmup};
use crate::stats::{Condition, PrecisionTarget};
use crate::storage::Location;
use llmeter_wire::StampSource;

/// A type that a setting has.
pub(super) trait Form: Sized {
    /// From a file's value; `None` if it does not fit.
    fn read(value: &Value) -> Option<Self>;
    /// As a file has it.
    fn write(&self) -> Value;
}

/// What a setting takes, for messages.
pub(super) fn expected(setting: Setting) -> String {
    let example = setting.example().unwrap_or_default();
    match setting.kind() {
        SettingKind::Text => format!("a text like {example:?}"),
        SettingKind::Texts => format!("a text like {example:?}, or a list of them"),
        SettingKind::File => "a path".to_owned(),
        SettingKind::Files => "the path of a file, or a list of them".to_owned(),
        SettingKind::Count => "a whole number".to_owned(),
        SettingKind::CountOrTime => {
            format!("a whole number like {example}, or a time like {example}s")
        }
        SettingKind::Number => "a number".to_owned(),
        SettingKind::Time => format!("a time like {example}, or a number of seconds"),
        SettingKind::Switch => "true or false".to_owned(),
        SettingKind::Choice(names) => format!("one of {}", names.join(", ")),
        SettingKind::Api => {
            let names: Vec<_> = ApiMode::all().map(|api| api.name).collect();
            format!("one of {}", names.join(", "))
        }
        SettingKind::Expressions => "a table like { text = \"choices[0].text\" }".to_owned(),
        SettingKind::Fields => {
            format!("fields with JSON values like {example}, each given once, or a table of them")
        }
        SettingKind::Address => format!("an address like {example}, or true"),
        SettingKind::Conditions => format!("a condition like {example:?}, or a list of them"),
        SettingKind::Grammar(expected) => expected.to_owned(),
        SettingKind::Calls => BEFORE_RUN.to_owned(),
        SettingKind::Tables => "tables".to_owned(),
    }
}

/// A time as settings have it: `30s`, `2m 30s`, `200ms`, or a plain number of seconds; `None` if it
/// is something else.
pub fn parse_time(text: &str) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

/// Types whose serde form is what files have.
macro_rules! plain {
    ($($type:ty)+) => {
        $(impl Form for $type {
            fn read(value: &Value) -> Option<Self> {
                Self::deserialize(value).ok()
            }

            fn write(&self) -> Value {
                json!(self)
            }
        })+
    };
}
plain!(
    String Location u32 u64 usize f64 bool Object Balance Connections Condition PrecisionTarget Shard
    History
);

impl Form for PathBuf {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(Self::from)
    }

    fn write(&self) -> Value {
        self.to_string_lossy().into()
    }
}

/// Types with a grammar of their own, which are texts in files.
macro_rules! written {
    ($($type:ty)+) => {
        $(impl Form for $type {
            fn read(value: &Value) -> Option<Self> {
                match value {
                    Value::String(text) => text.parse().ok(),
                    Value::Number(number) => number.to_string().parse().ok(),
                    _ => None,
                }
            }

            fn write(&self) -> Value {
                self.to_string().into()
            }
        })+
    };
}
written!(Rate Arrivals Cancellation SlowReaders ServerCall ThinkTime);

/// A text, or a list of texts or of tables like `{ level = "50/s", ramp = true, time = "2m" }`.
impl Form for Stages {
    fn read(value: &Value) -> Option<Self> {
        parse_stages(value)?.ok()
    }

    fn write(&self) -> Value {
        self.to_string().into()
    }
}

/// The level of a stage whose rate a table has, which may be 0 as in a text.
fn stage_rate(value: &Value, level: impl Fn(Rate) -> StageLevel) -> Option<StageLevel> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Rate::of_text_or_zero(&text).ok().map(level)
}

/// Stages, or why they cannot be used; `None` if the value is of another type.
pub(super) fn parse_stages(value: &Value) -> Option<Result<Stages, String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        #[serde(default)]
        rate: Option<Value>,
        #[serde(default)]
        clients: Option<u32>,
        #[serde(default)]
        sessions: Option<u32>,
        #[serde(default, rename = "session-rate", alias = "session_rate")]
        session_rate: Option<Value>,
        #[serde(default)]
        ramp: bool,
        time: Value,
    }
    let written = |value: &Value| -> Option<String> {
        if let Value::String(text) = value {
            return Some(text.clone());
        }
        let table = Table::deserialize(value).ok()?;
        let levels = [
            table.rate.map(|rate| stage_rate(&rate, StageLevel::Rate)),
            table.clients.map(|count| Some(StageLevel::Clients(count))),
            table
                .sessions
                .map(|count| Some(StageLevel::Sessions(count))),
            table
                .session_rate
                .map(|rate| stage_rate(&rate, StageLevel::SessionRate)),
        ];
        let mut levels = levels.into_iter().flatten();
        let (Some(level), None) = (levels.next()?, levels.next()) else {
            return None;
        };
        let time = humantime::format_duration(Duration::read(&table.time)?);
        Some(match table.ramp {
            true => format!("ramp to {level} over {time}"),
            false => format!("{level} for {time}"),
        })
    };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(stages) => {
            let stages: Option<Vec<_>> = stages.iter().map(written).collect();
            stages?.join(", ")
        }
        _ => return None,
    };
    Some(text.parse())
}

/// Whole seconds as an integer, as the Python system writes its default timeout.
pub(in crate::run) fn seconds(time: Duration) -> Value {
    match time.subsec_nanos() {
        0 => json!(time.as_secs()),
        _ => json!(time.as_secs_f64()),
    }
}

impl Form for Duration {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => parse_time(text),
            seconds => Self::try_from_secs_f64(seconds.as_f64()?).ok(),
        }
    }

    fn write(&self) -> Value {
        seconds(*self)
    }
}

/// A whole number of requests, or a text with a unit of time.
impl Form for Warmup {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => match text.parse() {
                Ok(requests) => Some(Self::Requests(requests)),
                Err(_) => humantime::parse_duration(text).ok().map(Self::Time),
            },
            requests => requests.as_u64().map(Self::Requests),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Requests(requests) => json!(requests),
            Self::Time(time) => humantime::format_duration(*time).to_string().into(),
        }
    }
}

/// One or a list.
impl<T: Form> Form for Vec<T> {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.iter().map(T::read).collect(),
            one => Some(vec![T::read(one)?]),
        }
    }

    fn write(&self) -> Value {
        self.iter().map(Form::write).collect()
    }
}

/// A table by parts, or `PART=EXPRESSION` in a list.
impl Form for Vec<(String, String)> {
    fn read(value: &Value) -> Option<Self> {
        if let Value::Object(table) = value {
            let table = table.iter();
            return table
                .map(|(part, path)| Some((part.clone(), path.as_str()?.to_owned())))
                .collect();
        }
        let pair = |text: &String| {
            let (part, path) = text.split_once('=')?;
            Some((part.trim().to_owned(), path.trim().to_owned()))
        };
        Vec::<String>::read(value)?.iter().map(pair).collect()
    }

    fn write(&self) -> Value {
        let pairs = self.iter();
        pairs.map(|(part, path)| format!("{part}={path}")).collect()
    }
}

/// A table, or `FIELD=VALUE` in a list.
impl Form for ExtraFields {
    fn read(value: &Value) -> Option<Self> {
        if let Value::Object(table) = value {
            return Some(table.clone().into());
        }
        let assignments = Vec::<String>::read(value)?;
        Self::from_assignments(assignments.iter().map(String::as_str)).ok()
    }

    fn write(&self) -> Value {
        self.fields().clone().into()
    }
}

impl Form for StampSource {
    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "auto" => Some(Self::Auto),
            "kernel" => Some(Self::Kernel),
            "user" => Some(Self::User),
            "packet" => Some(Self::Packet),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Kernel => "kernel".into(),
            Self::User => "user".into(),
            Self::Packet => "packet".into(),
        }
    }
}
