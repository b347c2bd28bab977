//! What can be wrong with a setting, and the one sentence for each.

use super::Setting;

/// What is wrong with a setting or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingProblem {
    /// It is required.
    Missing {
        /// An example value.
        example: Option<String>,
    },
    /// Its value is not accepted.
    Value {
        /// The value; `None` for one that may be a secret.
        value: Option<String>,
        /// What is accepted.
        expected: String,
    },
    /// It is rejected for another reason.
    Refused {
        /// Why.
        reason: String,
    },
    /// It only applies if another setting has one of these values.
    NotApplicable {
        /// The other setting.
        to: Setting,
        /// Its values, as a sentence has them.
        values: String,
    },
    /// The API in use does not support it.
    Unsupported {
        /// The API, or whatever else does not support it.
        by: String,
    },
    /// Another setting excludes it.
    Conflict {
        /// The other setting.
        with: Setting,
    },
    /// It requires one of some other settings.
    Requires {
        /// The settings of which one will do.
        any_of: Vec<Setting>,
    },
}

impl SettingProblem {
    /// The sentence about `subject`; `name` maps settings to what the reader calls them.
    pub(in crate::base) fn describe(
        &self,
        subject: &str,
        name: &dyn Fn(Setting) -> String,
    ) -> String {
        match self {
            Self::Missing { example: None } => format!("{subject} is required"),
            Self::Missing {
                example: Some(example),
            } => format!("{subject} is required, e.g. {example}"),
            Self::Value {
                value: Some(value),
                expected,
            } => format!("{subject} {value}: expected {expected}"),
            Self::Value {
                value: None,
                expected,
            } => format!("{subject}: expected {expected}"),
            Self::Refused { reason } => format!("{subject}: {reason}"),
            Self::NotApplicable { to, values } => {
                format!("{subject} only applies to {} {values}", name(*to))
            }
            Self::Unsupported { by } => format!("{subject} is not supported by {by}"),
            Self::Conflict { with } => format!("give {subject} or {}, not both", name(*with)),
            Self::Requires { any_of } => {
                let names: Vec<_> = any_of.iter().map(|other| name(*other)).collect();
                match names.as_slice() {
                    [first @ .., last] if !first.is_empty() => {
                        format!("{subject} requires {} or {last}", first.join(", "))
                    }
                    _ => format!("{subject} requires {}", names.concat()),
                }
            }
        }
    }
}
