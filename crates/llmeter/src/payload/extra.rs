//! Fields that a user adds to every payload.

use serde_json::Value;
use serde_json::map::Entry;

use super::{Payload, read_json};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// Fields that a user adds to every payload, whatever made it.
///
/// ```
/// use llmeter::payload::ExtraFields;
///
/// let given = ["temperature=0", "options.stop=[\"\\n\"]", "user=me"];
/// let extra = ExtraFields::from_assignments(given).unwrap();
/// let mut payload = serde_json::json!({"options": {"seed": 7}}).as_object().cloned().unwrap();
/// extra.add_to(&mut payload)?;
/// assert_eq!(
///     serde_json::Value::Object(payload),
///     serde_json::json!({"options": {"seed": 7, "stop": ["\n"]}, "temperature": 0, "user": "me"})
/// );
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExtraFields(Payload);

impl From<Payload> for ExtraFields {
    fn from(fields: Payload) -> Self {
        Self(fields)
    }
}

impl ExtraFields {
    /// From assignments like `options.seed=7`: dots lead into objects, and what is no JSON is a text,
    /// unless it begins as a list or an object does.
    ///
    /// # Errors
    /// If one of them is no assignment, or two are about one field.
    pub fn from_assignments<'a>(assignments: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut fields = Payload::new();
        let mut paths: Vec<Vec<&str>> = Vec::new();
        for assignment in assignments {
            let (path, value) = parse(assignment)
                .map_err(|expected| Error::invalid(Setting::Extra, assignment, expected))?;
            if insert(&mut fields, &path, value).is_none() {
                let mut others = paths.iter();
                let other =
                    others.find(|other| path.starts_with(other) || other.starts_with(&path));
                let named = [other.unwrap_or(&path), &path].map(|path| path.join("."));
                let expected = "fields that are each given once";
                return Err(Error::invalid(
                    Setting::Extra,
                    named.join(" and "),
                    expected,
                ));
            }
            paths.push(path);
        }
        Ok(Self(fields))
    }

    /// Takes an assignment like `options.seed=7`, or tells what is expected instead.
    ///
    /// # Errors
    /// If it is none.
    pub fn check_assignment(text: &str) -> Result<(), String> {
        parse(text).map(drop)
    }

    /// The fields.
    pub fn fields(&self) -> &Payload {
        &self.0
    }

    /// Adds them to a payload. They win; an object is added to one that is there.
    ///
    /// # Errors
    /// If the payload has something else where an object is to get a field.
    pub fn add_to(&self, payload: &mut Payload) -> Result<()> {
        merge(payload, &self.0, &mut Vec::new())
    }

    /// The path of the first field that a payload does not have as it was given: something else sets
    /// it. A null may be left out.
    pub fn overruled_in(&self, payload: &Payload) -> Option<String> {
        let mut path = Vec::new();
        differs(payload, &self.0, &mut path).then(|| path.join("."))
    }
}

/// The path and the value of an assignment.
fn parse(assignment: &str) -> Result<(Vec<&str>, Value), String> {
    let no_field = || "a field with a value, like temperature=0".to_owned();
    let (path, value) = assignment.split_once('=').ok_or_else(no_field)?;
    let path: Vec<&str> = path.split('.').map(str::trim).collect();
    if path.contains(&"") {
        return Err(no_field());
    }
    let text = value.trim();
    match read_json(text) {
        Ok(value) => Ok((path, value)),
        // Nobody means such a text.
        Err(reason) if text.starts_with(['[', '{']) => {
            Err(format!("valid JSON after the equals sign ({reason})"))
        }
        Err(_) => Ok((path, text.into())),
    }
}

/// Sets a field that is not set yet.
fn insert(fields: &mut Payload, path: &[&str], value: Value) -> Option<()> {
    let (first, rest) = path.split_first()?;
    match (fields.entry(*first), rest) {
        (Entry::Vacant(free), []) => _ = free.insert(value),
        (Entry::Vacant(free), rest) => {
            let mut inner = Payload::new();
            insert(&mut inner, rest, value)?;
            free.insert(inner.into());
        }
        (Entry::Occupied(mut taken), [_, ..]) => {
            insert(taken.get_mut().as_object_mut()?, rest, value)?;
        }
        (Entry::Occupied(_), []) => return None,
    }
    Some(())
}

fn merge<'e>(payload: &mut Payload, extra: &'e Payload, path: &mut Vec<&'e str>) -> Result<()> {
    for (name, value) in extra {
        path.push(name);
        match (payload.get_mut(name), value) {
            (Some(Value::Object(own)), Value::Object(more)) => merge(own, more, path)?,
            (Some(own), Value::Object(more)) if !own.is_null() && !more.is_empty() => {
                let fields = path.join(".");
                let expected = format!(
                    "fields that the payload can hold: its {fields} is {own}, not an object"
                );
                let first = more.keys().next().map_or("", String::as_str);
                return Err(Error::invalid(
                    Setting::Extra,
                    format!("{fields}.{first}"),
                    expected,
                ));
            }
            _ => _ = payload.insert(name.clone(), value.clone()),
        }
        path.pop();
    }
    Ok(())
}

fn differs<'e>(payload: &Payload, extra: &'e Payload, path: &mut Vec<&'e str>) -> bool {
    extra.iter().any(|(name, value)| {
        path.push(name);
        let is_other = match (payload.get(name), value) {
            (Some(Value::Object(own)), Value::Object(more)) => differs(own, more, path),
            (None, Value::Null) => false,
            (own, value) => own != Some(value),
        };
        if !is_other {
            path.pop();
        }
        is_other
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn extra(assignments: &[&str]) -> Result<ExtraFields> {
        ExtraFields::from_assignments(assignments.iter().copied())
    }

    fn object(value: Value) -> Payload {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn values_are_json_or_else_text() {
        let given = extra(&[
            "a=1.0",
            "b=\"1\"",
            "c= high ",
            "d.e=true",
            "d.f={\"g\": null}",
            "d.f.h=[1]",
            "i=",
            "j=a=b",
            "k=1e400",
        ]);
        let expected = json!({
            "a": 1.0, "b": "1", "c": "high", "d": {"e": true, "f": {"g": null, "h": [1]}},
            "i": "", "j": "a=b", "k": {"__llmeter_number__": "1e400"},
        });
        assert_eq!(given.unwrap(), object(expected).into());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let once = "fields that are each given once";
        let field = "a field with a value, like temperature=0";
        for (bad, value, expected) in [
            (&["a"][..], "a", field),
            (&["=1"], "=1", field),
            (&["a..b=1"], "a..b=1", field),
            (&["a=1", "a=2"], "a and a", once),
            (&["c=1", "a=1", "a.b=2"], "a and a.b", once),
            (&["a.b=1", "a=2"], "a.b and a", once),
            (
                &["a=[1,"],
                "a=[1,",
                "valid JSON after the equals sign (EOF while parsing a value at line 1 column 3)",
            ),
            (
                &["a={b:1}"],
                "a={b:1}",
                "valid JSON after the equals sign (key must be a string at line 1 column 2)",
            ),
        ] {
            let error = extra(bad).unwrap_err().to_string();
            assert_eq!(error, format!("extra {value}: expected {expected}"));
        }
    }

    #[test]
    fn fields_win_and_objects_are_merged() {
        let mut payload = object(json!({"a": {"x": 1, "y": 2}, "b": 1, "c": null}));
        let given = extra(&["a.y=3", "b=[]", "c.d=4", "e=null"]).unwrap();
        given.add_to(&mut payload).unwrap();
        let expected = json!({"a": {"x": 1, "y": 3}, "b": [], "c": {"d": 4}, "e": null});
        assert_eq!(Value::Object(payload.clone()), expected);
        assert_eq!(given.overruled_in(&payload), None);
        payload.remove("e");
        assert_eq!(given.overruled_in(&payload), None);
        payload["a"]["y"] = json!(4);
        assert_eq!(given.overruled_in(&payload), Some("a.y".into()));
    }

    #[test]
    fn a_payload_without_the_object_is_named() {
        let mut payload = object(json!({"options": {"seed": 7}}));
        let error = extra(&["options.seed.x=1"]).unwrap().add_to(&mut payload);
        assert_eq!(
            error.unwrap_err().to_string(),
            "extra options.seed.x: expected fields that the payload can hold: its options.seed is 7, \
             not an object"
        );
    }
}
