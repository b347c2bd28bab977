use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const KEY: &str = "sk-Zq7Rw2Yx9Ub4Nc6Mv8";

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn between(text: &str, separator: &str) -> String {
    let letters: Vec<String> = text.chars().map(String::from).collect();
    letters.join(separator)
}

fn numbers(text: &str, write: impl Fn(u8) -> String, separator: &str) -> String {
    text.bytes().map(write).collect::<Vec<_>>().join(separator)
}

/// The ways in which servers may write a text.
fn ways(text: &str) -> Vec<String> {
    let hex = |byte: u8| format!("{byte:02x}");
    let mut ways = vec![
        text.to_owned(),
        text.to_uppercase(),
        text.to_lowercase(),
        between(text, " "),
        between(text, "\n> "),
        between(text, "\u{200b}"),
        between(text, "\" \""),
        between(text, "·"),
        percent(text),
        percent(&percent(text)),
        numbers(text, |byte| format!("&#{byte};"), ""),
        numbers(text, |byte| format!("&#x{byte:x};"), ""),
        numbers(text, |byte| format!("&amp;#{byte:03};"), " "),
        numbers(text, |byte| format!("\\u{byte:04x}"), ""),
        numbers(text, |byte| format!("\\x{byte:02X}"), ""),
        numbers(text, |byte| format!("\\\\x{byte:02X}"), ""),
        numbers(text, |byte| format!("\\{byte:03o}"), ""),
        numbers(text, hex, ""),
        numbers(text, hex, " ").to_uppercase(),
        numbers(text, hex, ":"),
        numbers(text, |byte| format!("0x{byte:02X}"), ", "),
        numbers(text, |byte| byte.to_string(), ", "),
        STANDARD.encode(format!("x{text}")),
        STANDARD.encode(format!("xy{text}z")),
        URL_SAFE_NO_PAD.encode(format!("user:{text}")),
        between(&STANDARD.encode(text), "\r\n"),
        percent(&STANDARD.encode(text)),
    ];
    ways.push(serde_json::Value::from(text).to_string());
    ways
}

#[test]
fn every_way_to_write_a_secret_is_hidden() {
    let redaction = Redaction::new([KEY]);
    for way in ways(KEY) {
        let shown = redaction.apply(&way);
        let rest = shown.replace(REDACTED, "");
        assert!(
            shown.contains(REDACTED) && rest.len() < 16,
            "{way}: {shown}"
        );
    }
}

#[test]
fn marks_and_other_letters_of_a_secret_are_hidden() {
    let redaction = Redaction::new(["p\"a/s+s  <wörd>", "пароль-пароль"]);
    for text in [
        "p\"a/s+s  <wörd>",
        r#"p\"a/s+s  <wörd>"#,
        "p&quot;a/s+s &lt;wörd&gt;",
        "p%22a%2Fs%2Bs%20%20%3Cw%C3%B6rd%3E",
        "пароль-пароль",
    ] {
        assert_eq!(redaction.apply(text), REDACTED, "{text}");
    }
}

#[test]
fn the_beginning_of_a_secret_before_a_cut_is_hidden() {
    let redaction = Redaction::new(["sk-0123456789", "wörd-wörd"]);
    for (text, expected) in [
        ("key sk-012345678… no", "key <redacted>… no"),
        ("key sk-0…", "key <redacted>…"),
        ("key sk-0 … end", "key <redacted> … end"),
        ("wörd-w…", "<redacted>…"),
        ("a sk-… b", "a sk-… b"),
        ("sk-0123… and sk-01…", "<redacted>… and <redacted>…"),
    ] {
        assert_eq!(redaction.apply(text), expected);
    }
}

#[test]
fn parts_of_a_secret_are_hidden_wherever_they_are() {
    let redaction = Redaction::new(["sk-0123456789wörd"]);
    for (text, expected) in [
        ("begins with sk-012!", "begins with <redacted>!"),
        ("ends with 789wörd.", "ends with <redacted>."),
        ("56789é", "56789é"),
        ("sk-01234 and 6789wör", "<redacted> and <redacted>"),
    ] {
        assert_eq!(redaction.apply(text), expected);
    }
    assert!(!format!("{redaction:?}").contains("sk-"));
}

#[test]
fn secrets_in_use_are_known_to_all() {
    let redaction = Redaction::new(["Kp7Zr2Xw9Qb"]);
    let other = Redaction::new(["Gd5Mt8Yv3Ns"]);
    let text = "Kp7Zr2Xw9Qb and Gd5Mt8Yv3Ns";
    assert_eq!(Redaction::apply_all(text), "<redacted> and <redacted>");
    drop(other);
    assert_eq!(Redaction::apply_all(text), "<redacted> and Gd5Mt8Yv3Ns");
    drop(redaction.clone());
    assert_eq!(Redaction::apply_all(text), "<redacted> and Gd5Mt8Yv3Ns");
    drop(redaction);
    assert_eq!(Redaction::apply_all(text), text);
}

#[test]
fn words_within_a_secret_stay_where_they_stand_for_themselves() {
    let redaction = Redaction::new(["https://user-of-localhost", "team=Inference-9"]);
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
fn a_secret_of_words_never_stays_whole() {
    let redaction = Redaction::new(["hush-hush", "correcthorsebatterystaple", "geheim"]);
    for (text, expected) in [
        ("it is Hush-Hush!", "it is <redacted>!"),
        ("keyhush-hushkey", "key<redacted>key"),
        ("correct horse battery staple", REDACTED),
        ("g e h e i m", REDACTED),
        ("hush, a horse", "hush, a horse"),
    ] {
        assert_eq!(redaction.apply(text), expected);
    }
    for way in ways("correcthorsebatterystaple") {
        let shown = redaction.apply(&way);
        let rest = shown.replace(REDACTED, "");
        assert!(rest.len() < 16, "{way}: {shown}");
    }
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let redaction = Redaction::new(["abc", "none", "token-of-2026"]);
    for text in [
        "abc and nothing else",
        "nonetheless",
        "50 % of \\frac{1}{2} & a token",
        "2026-01-02T03:04:05Z",
        "",
    ] {
        let shown = redaction.apply(text);
        assert!(
            matches!(shown, Cow::Borrowed(same) if same == text),
            "{shown}"
        );
    }
    assert_eq!(
        redaction.apply("the key none is wrong"),
        "the key <redacted> is wrong"
    );
}

#[test]
fn parts_across_the_blocks_of_the_filter_are_found() {
    let redaction = Redaction::new([KEY]);
    for length in 1000..1060 {
        let text = "y".repeat(length) + &KEY[3..9] + &" -".repeat(1500);
        assert!(redaction.apply(&text).contains(REDACTED), "{length}");
    }
}

/// The letters, digits and marks of a text with its escapes undone.
fn normal_form(text: &str) -> String {
    let undone = String::from_utf8_lossy(&normal::undone(text)).to_lowercase();
    let counts = |c: &char| c.is_ascii_graphic() && !"\"'`\\>".contains(*c);
    undone.chars().filter(counts).collect()
}

proptest! {
    #[test]
    fn no_part_of_a_secret_remains(
        secret in "([A-Z][0-9][a-z]|[0-9][-_/+.][A-Za-z]){7,30}",
        part in any::<prop::sample::Index>(),
        length in 6_usize..90,
        way in any::<prop::sample::Index>(),
        before in "\\PC{0,40}",
        after in "\\PC{0,40}",
    ) {
        let from = part.index(secret.len() - 5);
        let part = &secret[from..secret.len().min(from + length)];
        // The first are those that the normal form undoes.
        let ways = &ways(part)[..17];
        let text = format!("{before}{}{after}", ways[way.index(ways.len())]);
        let shown = Redaction::new([&*secret]).apply(&text).into_owned();
        let rest = normal_form(&shown);
        let small = secret.to_lowercase();
        for window in small.as_bytes().windows(6) {
            let window = str::from_utf8(window).unwrap();
            prop_assert!(!rest.contains(window), "{secret}: {text} -> {shown}");
        }
    }

    #[test]
    fn encoded_secrets_do_not_remain(
        secret in "([A-Z][0-9][a-z]|[0-9][-_/+.][A-Za-z]){7,30}",
        before in "[ -~]{0,9}",
        after in "[ -~]{0,9}",
        url in any::<bool>(),
    ) {
        let whole = format!("{before}{secret}{after}");
        let text = match url {
            true => URL_SAFE_NO_PAD.encode(&whole),
            false => STANDARD.encode(&whole),
        };
        let shown = Redaction::new([&*secret]).apply(&text).into_owned();
        prop_assert!(shown.replace(REDACTED, "").len() <= 32, "{secret}: {text} -> {shown}");
    }

    #[test]
    fn texts_without_secrets_come_back_as_they_are(
        secret in "[A-Z][0-9]{30}[a-z]{3}",
        text in "[ g-z%&#;\\\\…]{0,300}",
    ) {
        let redaction = Redaction::new([&*secret]);
        prop_assert!(matches!(redaction.apply(&text), Cow::Borrowed(_)), "{text}");
    }

    #[test]
    fn the_filter_lets_every_text_through_in_which_something_is_hidden(
        secret in "([A-Z][0-9][a-z]|[a-z]{1,12}|[0-9][-_/+.][A-Za-z]|é){2,20}",
        parts in prop::collection::vec(
            (any::<prop::sample::Index>(), 1_usize..14, "[ .,/é-]{0,3}|[ ]{600}|[a-z ]{0,40}"),
            1..6,
        ),
    ) {
        let redaction = Redaction::new([&*secret, "ya29.a0AfH6SMBx7Zq"]);
        let letters: Vec<char> = secret.chars().collect();
        let mut text = String::new();
        for (from, length, between) in &parts {
            let from = from.index(letters.len());
            text.extend(&letters[from..letters.len().min(from + length)]);
            text.push_str(between);
        }
        if let Some(secrets) = &redaction.0 {
            let is_hidden = matches!(secrets.hide(&text), Cow::Owned(_));
            prop_assert!(!is_hidden || secrets.may_be_in(&text), "{secret}: {text}");
        }
    }
}
