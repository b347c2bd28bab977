//! Points in time as text.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time in UTC with microseconds: exact enough for windows between requests, and a form that
/// every Python reads.
pub(crate) fn to_text(time: Timestamp) -> String {
    format!("{time:.6}")
}

/// Any ISO-8601 date and time, with or without zone and fraction. Without a zone it is UTC.
pub(crate) fn from_text(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let naive: DateTime = text.parse().ok()?;
    naive.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
}

/// For serde: an optional time.
pub(crate) mod optional {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes the field by reference")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&super::to_text(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.as_deref().and_then(super::from_text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let whole = Timestamp::from_second(1_767_323_045).unwrap();
        let split = whole + jiff::SignedDuration::from_micros(999_999);
        for (text, time) in [
            ("2026-01-02T03:04:05Z", whole),
            ("2026-01-02T03:04:05", whole),
            ("2026-01-02 03:04:05", whole),
            ("2026-01-02T05:04:05+02:00", whole),
            ("2026-01-02T03:04:05.999999+00:00", split),
            ("2026-01-02T03:04:05.999999Z", split),
            ("2026-01-02T03:04:05.999999", split),
        ] {
            assert_eq!(from_text(text), Some(time), "{text}");
        }
        assert_eq!(from_text("yesterday"), None);
    }

    #[test]
    fn written_with_microseconds() {
        let time = from_text("2026-01-02T03:04:05.9999994Z").unwrap();
        assert_eq!(to_text(time), "2026-01-02T03:04:05.999999Z");
        assert_eq!(
            to_text(from_text("2026-01-02T03:04:05Z").unwrap()),
            "2026-01-02T03:04:05.000000Z"
        );
    }
}
