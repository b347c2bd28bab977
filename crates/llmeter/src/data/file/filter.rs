//! Which requests of a file are sent: `prompt_tokens < 2000 and turn = 0`.

use std::cmp::Ordering;

use super::row::Row;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::{Tokenizer, counted};

/// Conditions that a request has to meet, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    what: What,
    accepted: &'static [Ordering],
    is_negated: bool,
    number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    PromptTokens,
    OutputTokens,
    Turn,
    Turns,
    Characters,
}

const NAMES: [(&str, What); 5] = [
    ("prompt_tokens", What::PromptTokens),
    ("output_tokens", What::OutputTokens),
    ("turn", What::Turn),
    ("turns", What::Turns),
    ("characters", What::Characters),
];

/// Longer ones first.
const OPERATORS: [(&str, &[Ordering], bool); 7] = [
    ("<=", &[Ordering::Less, Ordering::Equal], false),
    (">=", &[Ordering::Greater, Ordering::Equal], false),
    ("!=", &[Ordering::Equal], true),
    ("==", &[Ordering::Equal], false),
    ("<", &[Ordering::Less], false),
    (">", &[Ordering::Greater], false),
    ("=", &[Ordering::Equal], false),
];

impl Filter {
    /// From texts like `prompt_tokens < 2000`, each with one condition or several, with `and` between them.
    ///
    /// # Errors
    /// The condition that is none.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let conditions = texts.iter().flat_map(|text| text.split(" and "));
        let parsed = conditions.map(|text| {
            parse(text.trim()).ok_or_else(|| {
                let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                let expected = format!(
                    "a condition like \"prompt_tokens < 2000\" on one of {names}, with <, <=, =, !=, >= or >"
                );
                Error::invalid(Setting::DataFilter, format!("{text:?}"), expected)
            })
        });
        Ok(Self(parsed.collect::<Result<_>>()?))
    }

    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a turn of a row is sent. A request without a number of output tokens meets no condition on it.
    pub(super) fn takes(&self, row: &Row, turn: u32, tokenizer: &dyn Tokenizer) -> Result<bool> {
        for condition in &self.0 {
            let number = match condition.what {
                What::Turn => Some(u64::from(turn)),
                What::Turns => Some(u64::from(row.turns())),
                What::OutputTokens => row.output_tokens(turn, tokenizer),
                What::Characters => {
                    let texts = row.texts(turn);
                    Some(texts.iter().map(|text| text.chars().count() as u64).sum())
                }
                What::PromptTokens => {
                    let text = row.texts(turn).join("\n");
                    let uncounted = || row.place.refuse("the tokenizer cannot count its prompt");
                    Some(counted(tokenizer, &text).ok_or_else(uncounted)? as u64)
                }
            };
            let is_met = number.is_some_and(|number| {
                let is_accepted = condition.accepted.contains(&number.cmp(&condition.number));
                is_accepted != condition.is_negated
            });
            if !is_met {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn parse(text: &str) -> Option<Condition> {
    let (place, operator) = text.char_indices().find_map(|(at, _)| {
        let operator = OPERATORS
            .iter()
            .find(|(sign, ..)| text[at..].starts_with(sign))?;
        Some((at, operator))
    })?;
    let (sign, accepted, is_negated) = *operator;
    let name = text[..place].trim();
    let (_, what) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(Condition {
        what: *what,
        accepted,
        is_negated,
        number: text[place + sign.len()..].trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::{Content, Place};
    use super::*;
    use crate::payload::{Message, Role, Whitespace};

    #[test]
    fn conditions_are_on_tokens_characters_and_turns() {
        let row = Row {
            content: Content::Conversation(vec![
                Message::new(Role::User, "one two three"),
                Message::new(Role::Assistant, "four five"),
                Message::new(Role::User, "six"),
            ]),
            system: None,
            output_tokens: None,
            place: Place::default(),
        };
        for (text, first, second) in [
            ("prompt_tokens < 4", true, false),
            ("prompt_tokens>=3 and prompt_tokens<=6", true, true),
            ("turn = 0", true, false),
            ("turn==1", false, true),
            ("turns != 2", false, false),
            ("output_tokens > 1", true, false),
            ("characters > 13", false, true),
        ] {
            let filter = Filter::parse(&[text.to_owned()]).unwrap();
            let taken = |turn| filter.takes(&row, turn, &Whitespace).unwrap();
            assert_eq!((taken(0), taken(1)), (first, second), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in [
            "prompt_tokens",
            "tokens < 5",
            "turn < many",
            "turn < 1 or turn > 5",
            "",
        ] {
            let error = Filter::parse(&[text.to_owned()]).unwrap_err().to_string();
            assert!(
                error.starts_with("data_filter ") && error.contains("prompt_tokens < 2000"),
                "{error}"
            );
        }
    }
}
