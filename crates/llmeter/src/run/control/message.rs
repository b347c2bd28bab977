//! What a run in progress is asked for, and what it says: JSON in one line each.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::load::Rate;

/// What a load is to be from now on. What is not given stays.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NewLoad {
    /// The arrival rate; 0 is a pause.
    pub rate: Option<Rate>,
    /// The clients.
    pub clients: Option<u32>,
    /// Most requests in flight in an open loop; within, `None` is no limit.
    pub max_in_flight: Option<Option<u32>>,
}

impl NewLoad {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What comes over the socket.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Request {
    pub(super) load: NewLoad,
    pub(super) is_stop: bool,
}

/// What has no limit is written so.
const NO_LIMIT: &str = "none";

impl Request {
    pub(super) fn to_json(&self) -> Value {
        let NewLoad {
            rate,
            clients,
            max_in_flight,
        } = self.load;
        let mut object = Map::new();
        if let Some(rate) = rate {
            object.insert("rate".to_owned(), json!(rate.to_string()));
        }
        if let Some(clients) = clients {
            object.insert("clients".to_owned(), json!(clients));
        }
        if let Some(limit) = max_in_flight {
            let limit = limit.map_or_else(|| json!(NO_LIMIT), |limit| json!(limit));
            object.insert("max_in_flight".to_owned(), limit);
        }
        if self.is_stop {
            object.insert("stop".to_owned(), json!(true));
        }
        object.into()
    }

    /// The error is in words.
    pub(super) fn of_json(text: &str) -> Result<Self, String> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|reason| format!("no request: {reason}"))?;
        let mut request = Self::default();
        for (name, value) in &object {
            let wrong = || format!("{name} {value}");
            let count = || value.as_u64().and_then(|count| u32::try_from(count).ok());
            match name.as_str() {
                "rate" => {
                    let rate = value.as_str().and_then(Rate::parse_or_zero);
                    request.load.rate = Some(rate.ok_or_else(wrong)?);
                }
                "clients" => request.load.clients = Some(count().ok_or_else(wrong)?),
                "max_in_flight" if value == NO_LIMIT => request.load.max_in_flight = Some(None),
                "max_in_flight" => {
                    request.load.max_in_flight = Some(Some(count().ok_or_else(wrong)?));
                }
                "stop" => request.is_stop = value.as_bool().ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(request)
    }
}

/// One change of a load in mid-run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlChange {
    /// When it took effect, in seconds after the run's start.
    pub time: f64,
    /// What was changed: `rate`, `clients`, `max_in_flight`; or `stop`, which has no values.
    pub setting: String,
    /// The value before.
    pub from: Option<String>,
    /// The value from then on.
    pub to: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// What is sent does not count yet.
    WarmUp,
    /// It sends.
    Running,
    /// It sends nothing more and waits for what is in flight.
    Stopping,
}

/// What a run in progress says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlStatus {
    /// The run's name.
    pub run_name: String,
    /// How far it is.
    pub phase: RunPhase,
    /// Seconds since its start, warm-up excluded.
    pub elapsed: f64,
    /// Responses that are recorded.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The arrival rate of an open loop.
    pub rate: Option<String>,
    /// The clients of a closed loop.
    pub clients: Option<u32>,
    /// Most requests in flight in an open loop.
    pub max_in_flight: Option<u32>,
    /// Requests in flight in an open loop.
    pub in_flight: Option<u64>,
    /// What was changed so far.
    pub changes: Vec<ControlChange>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        let load = |rate: &str| NewLoad {
            rate: Rate::parse_or_zero(rate),
            ..NewLoad::default()
        };
        let clients = NewLoad {
            clients: Some(32),
            ..NewLoad::default()
        };
        let limit = |limit| NewLoad {
            max_in_flight: Some(limit),
            ..load("90/min")
        };
        for load in [
            load("40/s"),
            load("0/s"),
            clients,
            limit(Some(7)),
            limit(None),
        ] {
            let request = Request {
                load,
                is_stop: false,
            };
            let text = request.to_json().to_string();
            assert_eq!(Request::of_json(&text).as_ref(), Ok(&request), "{text}");
        }
        let stop = Request {
            is_stop: true,
            ..Request::default()
        };
        assert_eq!(Request::of_json(r#"{"stop": true}"#), Ok(stop));
        assert_eq!(Request::of_json("{}"), Ok(Request::default()));
        for wrong in [
            "",
            "[]",
            r#"{"rate": 3}"#,
            r#"{"clients": -1}"#,
            r#"{"other": 1}"#,
        ] {
            assert!(Request::of_json(wrong).is_err(), "{wrong}");
        }
    }
}
