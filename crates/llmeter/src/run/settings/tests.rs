//! Every setting that a run folder keeps comes back from it.

use std::sync::Arc;

use serde_json::json;

use super::saved::{Kept, kept};
use super::*;
use crate::endpoint::OpenAiChat;
use crate::run::saved::{own_config, run_config};

fn config() -> RunConfig {
    let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m")
        .build()
        .unwrap();
    let payload = Map::from_iter([("messages".to_owned(), json!([]))]);
    RunConfig::new(Arc::new(endpoint), [payload])
}

/// One setting with its example.
fn example(setting: Setting) -> RunSettings {
    let text = setting.example().unwrap();
    let value = match setting.kind() {
        SettingKind::Count | SettingKind::Number | SettingKind::Switch => {
            serde_json::from_str(text).unwrap()
        }
        _ => text.into(),
    };
    let mut settings = RunSettings::default();
    settings.set(setting, &value).unwrap();
    settings
}

/// A setting with the data that it is about.
fn with_data(mut settings: RunSettings, setting: Setting, folder: &std::path::Path) -> RunSettings {
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        Some(path.to_str().unwrap().to_owned())
    };
    match setting {
        Setting::Extra | Setting::System | Setting::MaxTokens | Setting::ForceOutputLength => {
            settings.data = Some("synthetic:prompt_tokens=3,requests=5".to_owned());
        }
        Setting::DataColumns | Setting::DataFilter | Setting::DataSample => {
            let row = "{\"question\": \"one two\", \"n\": 3}";
            settings.data = file("data", row);
            settings.data_columns = Some("prompt=question,output_tokens=n".to_owned());
        }
        Setting::Replay | Setting::Speed | Setting::Window => {
            let row = |time: u32| {
                format!("{{\"timestamp\": {time}, \"input_length\": 3, \"output_length\": 2}}\n")
            };
            settings.replay = file("trace", &(row(0) + &row(700_000)));
        }
        _ => {}
    }
    settings
}

#[test]
fn a_folder_keeps_every_setting_of_a_run() {
    for setting in Setting::ALL.iter().copied() {
        if matches!(kept(setting), Kept::Object | Kept::Never) {
            continue;
        }
        // Some have a place in a folder only with data that they are about.
        let folder = tempfile::tempdir().unwrap();
        let mut settings = with_data(example(setting), setting, folder.path());
        if matches!(setting, Setting::Arrivals | Setting::MaxInFlight) {
            // They say something about a rate.
            settings.rate = example(Setting::Rate).rate;
        }
        let mut config = config();
        settings.apply(&mut config).unwrap();
        let shared = run_config(&config, &"runs/it".into(), "it").unwrap();
        let own = own_config(&config).unwrap();
        let (shared, own) = (shared.as_object().unwrap(), own.as_object().unwrap());
        let again = RunSettings::from_folder(shared, own).unwrap();
        assert_eq!(again.get(setting), settings.get(setting), "{setting}");
        // And nothing else has changed by it.
        let mut repeated = self::config();
        again.apply(&mut repeated).unwrap();
        assert_eq!(
            RunSettings::of(&repeated),
            RunSettings::of(&config),
            "{setting}"
        );
    }
}

#[test]
fn no_proxy_is_kept_as_what_was_asked_for() {
    let mut config = config();
    example(Setting::NoProxy).apply(&mut config).unwrap();
    let own = own_config(&config).unwrap();
    let again = RunSettings::from_folder(&Object::new(), own.as_object().unwrap()).unwrap();
    assert_eq!(again.no_proxy, Some(true));
}

#[test]
fn lanes_of_0_1_0_are_workers() {
    let own = Object::from_iter([("lanes".to_owned(), json!(3))]);
    let settings = RunSettings::from_folder(&Object::new(), &own).unwrap();
    assert_eq!(settings.workers, Some(3));
}

#[test]
fn values_that_do_not_fit_are_refused_without_secrets() {
    let mut settings = RunSettings::default();
    let error = settings.set(Setting::Clients, &json!("many")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "clients \"many\": expected a whole number"
    );
    let error = settings
        .set(Setting::Header, &json!({"key": "hush"}))
        .unwrap_err();
    assert!(!error.to_string().contains("hush"), "{error}");
    settings.proxy = Some("http://me:hush@proxy:3128".to_owned());
    assert!(!format!("{settings:?}").contains("hush"));
}

#[test]
fn two_that_exclude_each_other_are_refused_in_one_layer() {
    let both = RunSettings {
        requests: Some(1),
        duration: Some(Duration::from_secs(1)),
        ..RunSettings::default()
    };
    let error = both.check().unwrap_err().to_string();
    assert_eq!(error, "give requests or duration, not both");
    for setting in Setting::ALL.iter().copied() {
        for other in setting.excludes() {
            assert!(other.excludes().contains(&setting), "{setting} and {other}");
        }
    }
}

#[test]
fn stages_are_a_text_or_tables() {
    let read = |value: Value| {
        let mut settings = RunSettings::default();
        let set = settings.set(Setting::Stages, &value);
        set.map(|()| {
            settings
                .stages
                .map(|stages| stages.to_string())
                .unwrap_or_default()
        })
    };
    let text = "10/s for 30s, ramp to 50/s over 2m";
    let tables = json!([
        {"rate": "10/s", "time": "30s"},
        {"rate": "50/s", "ramp": true, "time": 120},
    ]);
    for value in [
        json!(text),
        json!(["10/s for 30s", "ramp to 50/s over 2m"]),
        tables,
    ] {
        assert_eq!(read(value).unwrap(), text);
    }
    let clients = json!([{"clients": 4, "time": "1m"}]);
    assert_eq!(read(clients).unwrap(), "4 clients for 1m");
    let sessions =
        json!([{"sessions": 4, "time": "1m"}, {"sessions": 1, "ramp": true, "time": "9s"}]);
    assert_eq!(
        read(sessions).unwrap(),
        "4 sessions for 1m, ramp to 1 session over 9s"
    );
    let rates = json!([{"session-rate": "2/s", "time": "1m"}, {"session-rate": 0, "time": "9s"}]);
    assert_eq!(
        read(rates).unwrap(),
        "2 sessions/s for 1m, 0 sessions/s for 9s"
    );
    for (value, reason) in [
        (
            json!("10/s for 1m, 5 for 1m"),
            "stages: \"5 for 1m\" is no stage; write stages like",
        ),
        (json!([{"rate": 10}]), "expected stages like"),
        (
            json!([{"rate": 10, "clients": 2, "time": 1}]),
            "expected stages like",
        ),
        (
            json!([{"sessions": 10, "session-rate": "2/s", "time": 1}]),
            "expected stages like",
        ),
        (json!(5), "stages 5: expected stages like"),
    ] {
        let refused = read(value).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}
