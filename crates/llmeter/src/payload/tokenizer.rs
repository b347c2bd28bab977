//! Counting tokens when a server does not report them.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::base::error::{Error, Result};
use crate::base::foreign;
use crate::base::setting::Setting;
use crate::saved::{Registry, Saved};

#[cfg(feature = "hf-tokenizers")]
mod hf;
#[cfg(feature = "tiktoken")]
mod tiktoken;

/// Counts the tokens of a text.
pub trait Tokenizer: Send + Sync {
    /// The number of tokens of `text`, without special tokens.
    fn count(&self, text: &str) -> usize;

    /// The same, or `None` if the number would mean nothing, or cannot be found out. A panic is taken
    /// for that, too.
    fn try_count(&self, text: &str) -> Option<usize> {
        Some(self.count(text))
    }

    /// What counts are said to come from, by default the class of the saved form. `None` if they are
    /// mere estimates.
    fn name(&self) -> Option<String> {
        let saved = self.saved();
        let name = saved["__llmeter_class__"].as_str();
        Some(name.unwrap_or("without a name").to_owned())
    }

    /// The tokenizer as `run_config.json` names it.
    fn saved(&self) -> Value;
}

/// The number of tokens of `text`; `None` if the tokenizer cannot tell or panics.
pub(crate) fn counted(tokenizer: &dyn Tokenizer, text: &str) -> Option<usize> {
    foreign::catch_panic(|| tokenizer.try_count(text)).ok()?
}

/// Characters of a word on average from which white space is not what separates words.
const MAX_WORD: usize = 20;

/// Counts words: the text split at white space, as the Python system's `DummyTokenizer` does.
///
/// An estimate; see [`try_count`](Tokenizer::try_count).
#[derive(Debug, Clone, Copy, Default)]
pub struct Whitespace;

impl Tokenizer for Whitespace {
    fn count(&self, text: &str) -> usize {
        // Python's `str.split` also splits at the four separators that Unicode calls control
        // characters.
        text.split(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
            .filter(|word| !word.is_empty())
            .count()
    }

    /// Nothing where words are so long that they are not told apart by white space: in Chinese,
    /// Japanese or Thai, and in code without spaces.
    fn try_count(&self, text: &str) -> Option<usize> {
        let words = self.count(text);
        let (mut characters, mut unspaced) = (0, 0);
        for character in text.chars() {
            characters += 1;
            unspaced += usize::from(is_unspaced(character));
        }
        let is_spaced = characters <= (words + 1).saturating_mul(MAX_WORD) && unspaced <= words;
        is_spaced.then_some(words)
    }

    fn name(&self) -> Option<String> {
        None
    }

    fn saved(&self) -> Value {
        json!({
            "__llmeter_class__": "llmeter.tokenizers.DummyTokenizer",
            "__llmeter_state__": {},
        })
    }
}

/// Whether a character is of a script that is written without spaces between words: Thai, Lao,
/// Burmese, Khmer, Chinese, Japanese.
fn is_unspaced(character: char) -> bool {
    matches!(
        character,
        '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{2e80}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

/// The tokenizer that a user's specification names: `whitespace`, `tiktoken:NAME` with an
/// encoding's or an OpenAI model's name, or `hf:FILE` with a `tokenizer.json`.
///
/// ```
/// let tokenizer = llmeter::payload::tokenizer_from_spec("whitespace")?;
/// assert_eq!(tokenizer.count("three short words"), 3);
/// # Ok::<(), llmeter::Error>(())
/// ```
///
/// # Errors
/// When the specification is not one of these, when the file cannot be read, or when this build of
/// llmeter lacks the kind.
pub fn tokenizer_from_spec(spec: &str) -> Result<Arc<dyn Tokenizer>> {
    match spec.split_once(':') {
        None if spec == "whitespace" => Ok(Arc::new(Whitespace)),
        Some(("tiktoken", name)) if !name.is_empty() => tiktoken(name),
        Some(("hf", file)) if !file.is_empty() => hf(file),
        _ => Err(Error::invalid(
            Setting::Tokenizer,
            spec,
            "whitespace, tiktoken:NAME (an encoding or an OpenAI model) \
             or hf:FILE (a tokenizer.json)",
        )),
    }
}

static REGISTRY: LazyLock<RwLock<Registry<dyn Tokenizer>>> =
    LazyLock::new(|| RwLock::new(Registry::new("tokenizer")));

/// Makes a tokenizer type known to this process, so that saved runs with it load again. A type of the
/// same class is replaced.
///
/// ```
/// use llmeter::payload::{Tokenizer, register_tokenizer, tokenizer_from_saved};
/// use llmeter::saved::{Saved, SavedObject};
/// use serde::{Deserialize, Serialize};
/// use serde_json::Value;
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Quarters {
///     characters: usize,
/// }
///
/// impl Saved for Quarters {
///     const CLASS: &'static str = "my_app.Quarters";
/// }
///
/// impl Tokenizer for Quarters {
///     fn count(&self, text: &str) -> usize {
///         text.chars().count().div_ceil(self.characters)
///     }
///
///     fn saved(&self) -> Value {
///         SavedObject::of(self).map_or(Value::Null, |saved| saved.to_json())
///     }
/// }
///
/// register_tokenizer::<Quarters>();
/// let saved = Quarters { characters: 4 }.saved();
/// assert_eq!(tokenizer_from_saved(&saved)?.count("about ten"), 3);
/// # Ok::<(), llmeter::Error>(())
/// ```
pub fn register_tokenizer<T: Tokenizer + Saved + 'static>() {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    registry.register::<T>(|tokenizer| Arc::new(tokenizer));
}

/// The tokenizer that `run_config.json` names, in any of its forms.
///
/// # Errors
/// As [`tokenizer_from_spec`], and when the form is unknown.
pub fn tokenizer_from_saved(saved: &Value) -> Result<Arc<dyn Tokenizer>> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    if saved.is_null() {
        return Ok(Arc::new(Whitespace));
    }
    let unknown = |what: &str| {
        Error::field(
            "tokenizer",
            what,
            "a saved tokenizer of llmeter, tiktoken or transformers",
        )
    };
    if let Some(module) = text(saved, "tokenizer_module") {
        if module == "llmeter" {
            return Ok(Arc::new(Whitespace));
        }
        let name = text(saved, "name")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| unknown(&format!("{module} without a name")))?;
        return match module.as_str() {
            "tiktoken" => tiktoken(&name),
            "transformers" => hf(&name),
            other => Err(unknown(other)),
        };
    }
    let Some(class) = text(saved, "__llmeter_class__") else {
        return Err(unknown("(no class)"));
    };
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    if registry.kind(&class).is_some() {
        return registry.build_json(saved);
    }
    let state = &saved["__llmeter_state__"];
    match class.as_str() {
        "llmeter.tokenizers.DummyTokenizer" => Ok(Arc::new(Whitespace)),
        // The Python system writes these but cannot read them back.
        "tiktoken.core.Encoding" => {
            let name = text(state, "name").ok_or_else(|| unknown("tiktoken without a name"))?;
            tiktoken(&name)
        }
        other => match text(state, "name_or_path") {
            Some(name) if other.starts_with("transformers.") => hf(&name),
            _ => Err(unknown(other)),
        },
    }
}

#[cfg(feature = "tiktoken")]
fn tiktoken(name: &str) -> Result<Arc<dyn Tokenizer>> {
    Ok(Arc::new(tiktoken::Tiktoken::new(name)?))
}

#[cfg(not(feature = "tiktoken"))]
fn tiktoken(name: &str) -> Result<Arc<dyn Tokenizer>> {
    Err(Error::unsupported(
        Setting::Tokenizer,
        format!("this build of llmeter (tiktoken:{name} needs its feature `tiktoken`)"),
    ))
}

#[cfg(feature = "hf-tokenizers")]
fn hf(file: &str) -> Result<Arc<dyn Tokenizer>> {
    let read = hf::HuggingFace::from_file(file).map_err(|reason| match reason {
        Error::Io { source, .. } => {
            let expected = format!("a tokenizer.json that can be read ({source})");
            Error::invalid(Setting::Tokenizer, format!("hf:{file}"), expected)
        }
        reason => reason,
    });
    Ok(Arc::new(read?))
}

#[cfg(not(feature = "hf-tokenizers"))]
fn hf(file: &str) -> Result<Arc<dyn Tokenizer>> {
    Err(Error::unsupported(
        Setting::Tokenizer,
        format!("this build of llmeter (hf:{file} needs its feature `hf-tokenizers`)"),
    ))
}
