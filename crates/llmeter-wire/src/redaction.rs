//! Hiding secrets in texts that come from elsewhere.
//!
//! Belongs here: the ways in which a server may write a secret that a request carried. Does not
//! belong here: what is a secret, which each kind of request knows.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// What stands in a text where a secret was.
const REDACTED: &str = "<redacted>";
/// Shorter secrets are no secrets, and replacing them would garble any text.
const SHORTEST: usize = 4;
/// A part of a secret of so many bytes is hidden as well: servers quote, escape and cut in ways of
/// their own, and parts of this length do not occur by chance. Those of small letters and marks alone
/// may: they are words, like `localhost`.
const WINDOW: usize = 8;
/// What an excerpt that was cut ends with.
const ELLIPSIS: char = '…';

/// Secrets in all their forms.
#[derive(Clone, Default)]
pub struct Redaction {
    /// Longest first, so that no part of one is replaced before the whole.
    forms: Vec<SecretString>,
    /// All parts of them.
    windows: HashSet<[u8; WINDOW]>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").finish_non_exhaustive()
    }
}

impl Redaction {
    /// Hides these texts.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets = secrets.into_iter().filter(|text| text.len() >= SHORTEST);
        let mut forms: Vec<String> = secrets.flat_map(forms).collect();
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        forms.dedup();
        let windows = forms
            .iter()
            .flat_map(|form| form.as_bytes().windows(WINDOW));
        Self {
            windows: windows
                .filter(|window| !may_be_words(window))
                .filter_map(|window| window.try_into().ok())
                .collect(),
            forms: forms.into_iter().map(SecretString::from).collect(),
        }
    }

    /// The text without the secrets.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            let form = form.expose_secret();
            if text.contains(form) {
                text = Cow::Owned(text.replace(form, REDACTED));
            }
        }
        if let Some(shown) = self.without_windows(&text) {
            text = Cow::Owned(shown);
        }
        if text.contains(ELLIPSIS) {
            text = Cow::Owned(self.without_beginnings(&text));
        }
        text
    }

    /// The text without parts of secrets; `None` if it has none.
    fn without_windows(&self, text: &str) -> Option<String> {
        let windows = text.as_bytes().windows(WINDOW).enumerate();
        let starts = windows.filter(|(_, window)| {
            <&[u8; WINDOW]>::try_from(*window).is_ok_and(|window| self.windows.contains(window))
        });
        let mut hidden = vec![false; text.len()];
        for (start, _) in starts {
            hidden[start..start + WINDOW].fill(true);
        }
        if !hidden.contains(&true) {
            return None;
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
        Some(out)
    }

    /// A cut excerpt may end with the beginning of a secret.
    fn without_beginnings(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (number, part) in text.split(ELLIPSIS).enumerate() {
            if number > 0 {
                let kept = out.len() - self.beginning_at_the_end_of(&out);
                if kept < out.len() {
                    out.truncate(kept);
                    out.push_str(REDACTED);
                }
                out.push(ELLIPSIS);
            }
            out.push_str(part);
        }
        out
    }

    /// How many bytes at the end of a text are the beginning of a secret.
    fn beginning_at_the_end_of(&self, text: &str) -> usize {
        let of_form = |form: &SecretString| {
            let form = form.expose_secret();
            let mut lengths = (SHORTEST..form.len()).rev();
            lengths.find(|&length| form.is_char_boundary(length) && text.ends_with(&form[..length]))
        };
        self.forms.iter().filter_map(of_form).max().unwrap_or(0)
    }
}

fn may_be_words(window: &[u8]) -> bool {
    let is_usual = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_punctuation();
    window.iter().all(is_usual)
}

/// The ways in which a server may repeat a text: as it is; escaped in JSON, in HTML, in a URL; in
/// base64; and each of them with its white space put together, as excerpts have it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let html = |quote: &str| {
        secret
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', quote)
    };
    let [mut form, mut path] = [String::new(), String::new()];
    for byte in secret.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                form.push(byte.into());
                path.push(byte.into());
            }
            b' ' => {
                form.push('+');
                path.push_str("%20");
            }
            _ => {
                // Writing to a text cannot fail.
                let _ = write!(form, "%{byte:02X}");
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    let mut all = vec![
        json[1..json.len() - 1].to_owned(),
        html("&#x27;"),
        html("&#39;"),
        lower_escapes(&form),
        lower_escapes(&path),
        form,
        path,
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        secret.to_owned(),
    ];
    let joined: Vec<String> = all
        .iter()
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    all.extend(joined);
    all
}

/// Escapes of a URL in lower case, as some servers write them.
fn lower_escapes(text: &str) -> String {
    let mut digits = 0;
    let lower = |c: char| {
        if c == '%' {
            digits = 2;
        } else if digits > 0 {
            digits -= 1;
            return c.to_ascii_lowercase();
        }
        c
    };
    text.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let redaction = Redaction::new(["p\"a/s+s  <wörd>"]);
        for text in [
            "p\"a/s+s  <wörd>",
            "p\"a/s+s <wörd>",
            r#"p\"a/s+s  <wörd>"#,
            "p&quot;a/s+s &lt;wörd&gt;",
            "p%22a%2Fs%2Bs%20%20%3Cw%C3%B6rd%3E",
            "p%22a%2fs%2bs++%3cw%c3%b6rd%3e",
            "cCJhL3MrcyAgPHfDtnJkPg==",
        ] {
            let shown = redaction.apply(text);
            let shown = shown.trim_end_matches('=');
            assert_eq!(shown, REDACTED, "{text}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_before_a_cut_is_hidden() {
        let redaction = Redaction::new(["sk-0123456789", "wörd-wörd"]);
        for (text, expected) in [
            ("key sk-012345678… no", "key <redacted>… no"),
            ("key sk-0…", "key <redacted>…"),
            ("wörd-w…", "<redacted>…"),
            ("a sk-… b", "a sk-… b"),
            ("sk-0123… and sk-01…", "<redacted>… and <redacted>…"),
            ("all sk-0123456789…", "all <redacted>…"),
        ] {
            assert_eq!(redaction.apply(text), expected);
        }
    }

    #[test]
    fn parts_of_a_secret_are_hidden_wherever_they_are() {
        let redaction = Redaction::new(["sk-0123456789wörd"]);
        for (text, expected) in [
            ("begins with sk-01234!", "begins with <redacted>!"),
            ("ends with 789wörd.", "ends with <redacted>."),
            ("3456789é", "3456789é"),
            ("sk-01234 and 6789wör", "<redacted> and <redacted>"),
        ] {
            assert_eq!(redaction.apply(text), expected);
        }
        assert!(!format!("{redaction:?}").contains("sk-"));
    }

    #[test]
    fn words_within_a_secret_stay_where_they_stand_for_themselves() {
        let redaction = Redaction::new(["https://user-of-localhost", "team=inference-9"]);
        for text in [
            "see https://example.com",
            "localhost refused",
            "inference failed",
        ] {
            assert_eq!(redaction.apply(text), text);
        }
        assert_eq!(
            redaction.apply("by https://user-of-localhost"),
            "by <redacted>"
        );
        assert_eq!(redaction.apply("by erence-9"), "by <redacted>");
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        let redaction = Redaction::new(["abc", "secret"]);
        let text = "abc and nothing else";
        assert!(matches!(redaction.apply(text), Cow::Borrowed(same) if same == text));
    }
}
