//! Hiding secrets in texts that come from elsewhere.
//!
//! Belongs here: the ways in which a server may write a secret that a request carried. Does not
//! belong here: what is a secret, which each kind of request knows.
//!
//! Texts are compared in normal forms: escapes (percent-encoding, HTML entities, backslashes) are undone,
//! also where they are nested; case, white space, quotes, and marks that no secret has do not count. In
//! these forms every part of a secret of six characters is hidden, in itself, in base64 at any offset,
//! and in hexadecimal or decimal numbers. Parts that may be words, like `localhost`, are hidden from ten
//! characters on, and whole. What cannot be recognised: shorter parts, other encodings, translations.

mod filter;
mod needles;
mod normal;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use filter::Filter;
use memchr::memmem;
use needles::{Needles, PART, needles};
use normal::Decoded;

/// What stands in a text where a secret was.
const REDACTED: &str = "<redacted>";
/// Shorter secrets are no secrets, and replacing them would garble any text.
const SHORTEST: usize = 4;
/// What an excerpt that was cut has there.
const ELLIPSIS: &str = "…";

/// Secrets in all their forms. A clone shares them.
#[derive(Clone, Default)]
pub struct Redaction(Option<Arc<Secrets>>);

struct Secrets {
    needles: [Needles; 2],
    filter: Filter,
    /// The short ones, which are found as they are and by themselves.
    short: Vec<memmem::Finder<'static>>,
    /// Beginnings, of which a cut may leave even less than a part.
    beginnings: Vec<Box<[u8]>>,
}

/// All that are in use.
static KNOWN: Mutex<Vec<Weak<Secrets>>> = Mutex::new(Vec::new());

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Hides these texts. Those of less than four bytes are no secrets; those of four and five
    /// characters that count are hidden where they stand for themselves.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets: Vec<&str> = secrets
            .into_iter()
            .filter(|text| text.len() >= SHORTEST)
            .collect();
        if secrets.is_empty() {
            return Self::default();
        }
        let is_short = |text: &&&str| {
            let counting = text.bytes().filter(|byte| !needles::is_dropped(*byte));
            counting.count() < PART
        };
        let short = secrets.iter().filter(is_short);
        let finder = |text: &&str| memmem::Finder::new(text.as_bytes()).into_owned();
        let beginning = |text: &&str| text.as_bytes()[..text.len().min(PART)].into();
        let (needles, filter) = needles(&secrets);
        let secrets = Arc::new(Secrets {
            needles,
            filter,
            short: short.map(finder).collect(),
            beginnings: secrets.iter().map(beginning).collect(),
        });
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.strong_count() > 0);
        known.push(Arc::downgrade(&secrets));
        Self(Some(secrets))
    }

    /// The text without any secret that the process knows at this moment: for texts that are not one
    /// request's, like the message of a panic.
    pub fn apply_all(text: &str) -> Cow<'_, str> {
        let known: Vec<_> = {
            let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter_map(Weak::upgrade).collect()
        };
        known
            .into_iter()
            .fold(Cow::Borrowed(text), |text, secrets| {
                match Self(Some(secrets)).apply(&text) {
                    Cow::Owned(shown) => Cow::Owned(shown),
                    Cow::Borrowed(_) => text,
                }
            })
    }

    /// The text without the secrets.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.0 {
            Some(secrets) if secrets.may_be_in(text) => secrets.hide(text),
            _ => Cow::Borrowed(text),
        }
    }
}

impl Secrets {
    /// Whether there may be something to hide: fast, and rarely wrong.
    fn may_be_in(&self, text: &str) -> bool {
        let may_be_in = |bytes: &[u8]| self.filter.may_be_in(bytes);
        if may_be_in(text.as_bytes())
            || self
                .short
                .iter()
                .any(|short| short.find(text.as_bytes()).is_some())
            || memmem::find(text.as_bytes(), ELLIPSIS.as_bytes()).is_some()
        {
            return true;
        }
        normal::any_undone(text.as_bytes(), may_be_in)
    }

    fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut hidden = vec![false; text.len()];
        normal::each_level(text, |decoded| {
            for form in &self.needles {
                form.mark(&decoded.bytes, |first, last| {
                    hidden[decoded.starts[first]..decoded.starts[last + 1]].fill(true);
                });
            }
            self.mark_short(decoded, &mut hidden);
        });
        self.mark_beginnings(text, &mut hidden);
        if !hidden.contains(&true) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, c) in text.char_indices() {
            let is_hidden = hidden[at..at + c.len_utf8()].contains(&true);
            match (was_hidden, is_hidden) {
                (_, false) => out.push(c),
                (false, true) => out.push_str(REDACTED),
                (true, true) => {}
            }
            was_hidden = is_hidden;
        }
        Cow::Owned(out)
    }

    fn mark_short(&self, decoded: &Decoded, hidden: &mut [bool]) {
        let bytes = &decoded.bytes;
        let is_letter = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_alphanumeric)
        };
        for short in &self.short {
            let length = short.needle().len();
            for at in short.find_iter(bytes) {
                if !is_letter(at.checked_sub(1)) && !is_letter(Some(at + length)) {
                    hidden[decoded.starts[at]..decoded.starts[at + length]].fill(true);
                }
            }
        }
    }

    /// An excerpt that was cut may end with the beginning of a secret.
    fn mark_beginnings(&self, text: &str, hidden: &mut [bool]) {
        for (cut, _) in text.match_indices(ELLIPSIS) {
            let before = text[..cut].trim_end();
            for beginning in &self.beginnings {
                let mut lengths = (SHORTEST..=beginning.len()).rev();
                let length =
                    lengths.find(|&length| before.as_bytes().ends_with(&beginning[..length]));
                if let Some(length) = length {
                    hidden[before.len() - length..before.len()].fill(true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
