//! The grammar of synthetic data: `prompt_tokens=512,prompt_tokens_stdev=64,output_tokens=128,…`.

use super::lengths::{LengthSettings, Lengths};
use super::prefixes::PrefixSkew;
use crate::base::error::{Error, Result};
use crate::base::nearest::nearest;
use crate::base::setting::{Setting, SettingProblem};

/// Prompts without a number of their own.
const DEFAULT_PROMPT_TOKENS: u64 = 512;
/// Responses without a number of their own.
const DEFAULT_OUTPUT_TOKENS: u64 = 128;
/// Most turns of a session.
const MAX_TURNS: u64 = 10_000;
/// Most different prefixes.
const MAX_PREFIXES: u64 = 1_000_000;

/// What synthetic data is like.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticSpec {
    /// Tokens of a whole prompt, its prefix included.
    pub prompt_tokens: Lengths,
    /// Tokens that a response is to have.
    pub output_tokens: Lengths,
    /// Whether they are given, and not the default.
    pub(super) has_output_tokens: bool,
    /// Tokens at the beginning of a prompt that other prompts have, too; 0 for none.
    pub prefix_tokens: u64,
    /// Different prefixes.
    pub prefix_count: u64,
    /// How often each of them comes.
    pub prefix_skew: PrefixSkew,
    /// Turns of a session.
    pub turns: Lengths,
    /// Images before the text of every prompt.
    pub images: u64,
    /// Their width and height, in pixels.
    pub image_size: (u32, u32),
    /// Seconds of audio before the text of every prompt, if there is any.
    pub audio_seconds: Option<f64>,
    /// Requests before the data begins again; `None` for data without an end.
    pub requests: Option<u64>,
    /// As it was given.
    text: String,
}

/// The keys that are no part of a distribution.
const SINGLE_KEYS: [&str; 7] = [
    "prefix_tokens",
    "prefix_count",
    "prefix_skew",
    "requests",
    "images",
    "image_size",
    "audio_seconds",
];
/// Most images of a prompt.
const MAX_IMAGES: u64 = 100;
/// Most pixels of a side of an image.
const MAX_SIDE: u32 = 16_384;
/// Most seconds of audio.
const MAX_AUDIO: f64 = 3_600.0;
/// The names of distributions, each with the ends of its keys.
const LENGTHS: [&str; 3] = ["prompt_tokens", "output_tokens", "turns"];
const ENDS: [&str; 5] = ["", "_distribution", "_stdev", "_min", "_max"];

impl SyntheticSpec {
    /// From what follows `synthetic:`. Empty for the defaults: prompts of 512 tokens, responses of 128.
    ///
    /// # Errors
    /// The key that is not known, given twice, or has a value that cannot be used.
    pub fn parse(text: &str) -> Result<Self> {
        let named = |reason: Error| Error::Invalid {
            setting: Setting::Data,
            problem: SettingProblem::Refused {
                reason: reason.to_string(),
            },
            hint: None,
        };
        Self::read(text).map_err(|reason| match reason {
            reason @ Error::Field { .. } => named(reason),
            other => other,
        })
    }

    fn read(text: &str) -> Result<Self> {
        let pairs = pairs(text)?;
        let of = |key: &str| {
            let found = pairs.iter().find(|(known, _)| *known == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        let lengths = |name: &'static str| {
            let key = |end: &str| of(&format!("{name}{end}"));
            Lengths::parse(&LengthSettings {
                name,
                value: of(name),
                distribution: key("_distribution"),
                stdev: key("_stdev"),
                min: key("_min"),
                max: key("_max"),
            })
        };
        let count = |key: &'static str, max: u64| match of(key) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
                _ => {
                    let expected = format!("a whole number from 1 to {max}");
                    Err(Error::field(key, value, expected))
                }
            },
        };
        let prompt_tokens = lengths("prompt_tokens")?;
        let prompt_tokens = prompt_tokens.unwrap_or(Lengths::fixed(DEFAULT_PROMPT_TOKENS));
        let output_tokens = lengths("output_tokens")?;
        let has_output_tokens = output_tokens.is_some();
        let output_tokens = output_tokens.unwrap_or(Lengths::fixed(DEFAULT_OUTPUT_TOKENS));
        let turns = lengths("turns")?.unwrap_or(Lengths::fixed(1));
        if turns.max() > MAX_TURNS {
            let key = match of("turns") {
                Some(_) if turns.min() == turns.max() => "turns",
                _ => "turns_max",
            };
            return Err(Error::refused(
                key,
                format!("expected turns of {MAX_TURNS} at most"),
            ));
        }
        let prefix_tokens = count("prefix_tokens", u64::MAX)?.unwrap_or(0);
        if prefix_tokens == 0
            && let Some(key) = ["prefix_count", "prefix_skew"]
                .into_iter()
                .find(|key| of(key).is_some())
        {
            return Err(Error::refused(
                key,
                "it means something only with prefix_tokens",
            ));
        }
        if prefix_tokens >= prompt_tokens.min() && prefix_tokens > 0 {
            let expected = format!(
                "fewer than the {} tokens of the shortest prompt, of which the prefix is part (prompt_tokens_min \
                 makes it longer)",
                prompt_tokens.min()
            );
            return Err(Error::field("prefix_tokens", prefix_tokens, expected));
        }
        Ok(Self {
            prompt_tokens,
            output_tokens,
            has_output_tokens,
            prefix_tokens,
            prefix_count: count("prefix_count", MAX_PREFIXES)?.unwrap_or(1),
            prefix_skew: skew(of("prefix_skew").as_deref())?,
            turns,
            images: count("images", MAX_IMAGES)?.unwrap_or(u64::from(of("image_size").is_some())),
            image_size: image_size(of("image_size").as_deref())?,
            audio_seconds: audio_seconds(of("audio_seconds").as_deref())?,
            requests: count("requests", u64::from(u32::MAX))?,
            text: text.to_owned(),
        })
    }

    /// As it was given.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn image_size(text: Option<&str>) -> Result<(u32, u32)> {
    let Some(text) = text else {
        return Ok((512, 512));
    };
    let sides = text.split_once('x').and_then(|(width, height)| {
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=MAX_SIDE).contains(side))
        };
        Some((side(width)?, side(height)?))
    });
    sides.ok_or_else(|| {
        let expected = format!("WIDTHxHEIGHT with sides from 1 to {MAX_SIDE}, like 512x512");
        Error::field("image_size", text, expected)
    })
}

fn audio_seconds(text: Option<&str>) -> Result<Option<f64>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let seconds = text.parse().ok();
    match seconds.filter(|seconds| *seconds > 0.0 && *seconds <= MAX_AUDIO) {
        Some(seconds) => Ok(Some(seconds)),
        None => {
            let expected = format!("a number of seconds above 0, {MAX_AUDIO} at most");
            Err(Error::field("audio_seconds", text, expected))
        }
    }
}

fn skew(text: Option<&str>) -> Result<PrefixSkew> {
    match text {
        None | Some("uniform") => Ok(PrefixSkew::Uniform),
        Some(text) => {
            let exponent = text
                .strip_prefix("zipf:")
                .and_then(|text| text.parse().ok());
            match exponent.filter(|exponent| (0.0..=10.0).contains(exponent)) {
                Some(exponent) => Ok(PrefixSkew::Zipf(exponent)),
                None => Err(Error::field(
                    "prefix_skew",
                    text,
                    "uniform, or zipf:EXPONENT with an exponent from 0 to 10, like zipf:1.1",
                )),
            }
        }
    }
}

/// Keys with their values, each known and given once.
fn pairs(text: &str) -> Result<Vec<(&str, &str)>> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let Some((key, value)) = part.split_once('=') else {
            let reason = format!("{part:?} is no KEY=VALUE, like prompt_tokens=512");
            return Err(Error::refused("synthetic", reason));
        };
        let (key, value) = (key.trim(), value.trim());
        if !keys().any(|known| known == key) {
            let similar = nearest(key, keys()).unwrap_or_default();
            let expected = format!("a key of synthetic data; the nearest is {similar}");
            return Err(Error::field("key", key, expected));
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(Error::refused(key.to_owned(), "it is given twice"));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// All keys.
fn keys() -> impl Iterator<Item = String> {
    let lengths = LENGTHS
        .iter()
        .flat_map(|name| ENDS.iter().map(move |end| format!("{name}{end}")));
    lengths.chain(SINGLE_KEYS.iter().map(|key| (*key).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_read_and_defaults_are_sane() {
        let spec = SyntheticSpec::parse("").unwrap();
        assert_eq!(spec.prompt_tokens, Lengths::fixed(512));
        assert_eq!(spec.output_tokens, Lengths::fixed(128));
        assert_eq!((spec.prefix_tokens, spec.requests), (0, None));
        let text = "prompt_tokens=512, prompt_tokens_stdev=64,prompt_tokens_min=300,output_tokens_min=1,\
                    output_tokens_max=9,prefix_tokens=256,prefix_count=8,prefix_skew=zipf:1.1,turns=3,requests=1000";
        let spec = SyntheticSpec::parse(text).unwrap();
        assert_eq!((spec.prefix_tokens, spec.prefix_count), (256, 8));
        assert_eq!(spec.prefix_skew, PrefixSkew::Zipf(1.1));
        assert_eq!((spec.turns.max(), spec.requests), (3, Some(1000)));
        assert_eq!((spec.output_tokens.min(), spec.output_tokens.max()), (1, 9));
        assert_eq!(spec.text(), text);
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_one_sentence() {
        for (text, sentence) in [
            (
                "512",
                "data: synthetic: \"512\" is no KEY=VALUE, like prompt_tokens=512",
            ),
            (
                "prompt_token=5",
                "data: key prompt_token: expected a key of synthetic data; the nearest is prompt_tokens",
            ),
            ("turns=2,turns=3", "data: turns: it is given twice"),
            (
                "prefix_count=2",
                "data: prefix_count: it means something only with prefix_tokens",
            ),
            (
                "prompt_tokens=100,prefix_tokens=100",
                "data: prefix_tokens 100: expected fewer than the 100 tokens",
            ),
            (
                "prefix_tokens=5,prefix_skew=zipf",
                "data: prefix_skew zipf: expected uniform, or zipf:EXPONENT",
            ),
            (
                "image_size=512",
                "data: image_size 512: expected WIDTHxHEIGHT with sides from 1 to 16384",
            ),
            (
                "audio_seconds=0",
                "data: audio_seconds 0: expected a number of seconds above 0",
            ),
            (
                "requests=0",
                "data: requests 0: expected a whole number from 1 to 4294967295",
            ),
            (
                "turns=20000",
                "data: turns: expected turns of 10000 at most",
            ),
        ] {
            let error = SyntheticSpec::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{error}");
        }
    }
}
