//! What a single request may change about the server, by `x-sim-*` headers.

use std::time::Duration;

use crate::{
    api::ApiError,
    config::{MAX_DELAY, MAX_TOKENS, SimConfig},
};

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    Stall,
    Cut,
}

/// The settings that hold for one request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) ttft: Duration,
    pub(crate) itl: Duration,
    pub(crate) output_tokens: u32,
    pub(crate) reasoning_tokens: u32,
    /// `None`: left to chance.
    pub(crate) fault: Option<Fault>,
}

impl Settings {
    /// The server's settings, changed as the headers say.
    pub(crate) fn new(config: &SimConfig, headers: &[(String, String)]) -> Result<Self, ApiError> {
        let mut settings = Self {
            ttft: config.ttft,
            itl: config.itl,
            output_tokens: config.output_tokens,
            reasoning_tokens: config.reasoning_tokens,
            fault: None,
        };
        for (name, value) in headers {
            let usable = match name.as_str() {
                "x-sim-ttft-ms" => delay(value).map(|delay| settings.ttft = delay),
                "x-sim-itl-ms" => delay(value).map(|delay| settings.itl = delay),
                "x-sim-output-tokens" => {
                    tokens(value, 1).map(|tokens| settings.output_tokens = tokens)
                }
                "x-sim-reasoning-tokens" => {
                    tokens(value, 0).map(|tokens| settings.reasoning_tokens = tokens)
                }
                "x-sim-fault" => fault(value).map(|fault| settings.fault = Some(fault)),
                _ => None,
            };
            if usable.is_none() {
                return Err(ApiError::wrong_value(
                    name,
                    "headers for the simulator are x-sim-ttft-ms and x-sim-itl-ms (milliseconds), \
                     x-sim-output-tokens (1 or more), x-sim-reasoning-tokens (0 or more) and \
                     x-sim-fault (error, stall or cut).",
                ));
            }
        }
        Ok(settings)
    }
}

fn delay(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok()? / 1e3;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|delay| *delay <= MAX_DELAY)
}

fn tokens(text: &str, min: u32) -> Option<u32> {
    let tokens = text.parse().ok()?;
    (min..=MAX_TOKENS).contains(&tokens).then_some(tokens)
}

fn fault(text: &str) -> Option<Fault> {
    match text {
        "error" => Some(Fault::Error),
        "stall" => Some(Fault::Stall),
        "cut" => Some(Fault::Cut),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: &str) -> Result<Settings, ApiError> {
        Settings::new(&SimConfig::default(), &[(name.into(), value.into())])
    }

    #[test]
    fn headers_change_one_setting_each() {
        assert_eq!(
            settings("x-sim-ttft-ms", "1.5").unwrap().ttft,
            Duration::from_micros(1500)
        );
        assert_eq!(settings("x-sim-itl-ms", "0").unwrap().itl, Duration::ZERO);
        assert_eq!(
            settings("x-sim-output-tokens", "3").unwrap().output_tokens,
            3
        );
        assert_eq!(
            settings("x-sim-reasoning-tokens", "0")
                .unwrap()
                .reasoning_tokens,
            0
        );
        assert_eq!(
            settings("x-sim-fault", "cut").unwrap().fault,
            Some(Fault::Cut)
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (name, value) in [
            ("x-sim-ttft-ms", "-1"),
            ("x-sim-ttft-ms", "NaN"),
            ("x-sim-itl-ms", "1e300"),
            ("x-sim-output-tokens", "0"),
            ("x-sim-fault", "meteor"),
            ("x-sim-tfft-ms", "1"),
        ] {
            let error = settings(name, value).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some(name)));
        }
    }
}
