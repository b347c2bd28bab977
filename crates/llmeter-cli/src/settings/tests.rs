//! Every setting says the same as a flag, in a file, and in JSON.

use clap::{Args, FromArgMatches};
use llmeter::SettingKind;
use serde_json::Value;

use super::file::read;
use super::*;
use crate::args::{Flags, OfRun};

fn from_flags(arguments: &[String]) -> RunSettings {
    let command = Flags::<OfRun>::augment_args(clap::Command::new("run").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments).unwrap();
    Flags::<OfRun>::from_arg_matches(&matches).unwrap().settings
}

/// `key = value` with the example of a setting.
fn line(setting: Setting, separator: &str) -> String {
    let example = setting.example().unwrap_or_default();
    let value = match setting.kind() {
        SettingKind::Count | SettingKind::Number | SettingKind::Switch => example.to_owned(),
        SettingKind::Tables => "[{ type = \"CacheBuster\", seed = 1 }]".to_owned(),
        _ => Value::from(example).to_string(),
    };
    format!("{} = {value}\n", setting.name().replace('_', separator))
}

#[test]
fn every_setting_is_the_same_from_each_source() {
    for setting in Setting::ALL.iter().copied() {
        let file = read(&line(setting, "-")).unwrap();
        assert_eq!(file.given().collect::<Vec<_>>(), [setting]);
        assert_eq!(read(&line(setting, "_")).unwrap(), file);
        let json = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<RunSettings>(&json).unwrap(), file);
        // A higher layer wins, and what it leaves open comes from below.
        assert_eq!(RunSettings::default().over(file.clone()), file);
        assert_eq!(file.clone().over(file.clone()), file);
        if setting.kind() == SettingKind::Tables {
            continue;
        }
        let mut arguments = vec![exit::flag(setting)];
        if setting.kind() != SettingKind::Switch {
            arguments.extend(setting.example().map(str::to_owned));
        }
        assert_eq!(from_flags(&arguments), file, "{setting}");
    }
}

#[test]
fn old_names_are_understood() {
    let workers = RunSettings {
        workers: Some(3),
        ..RunSettings::default()
    };
    assert_eq!(from_flags(&["--lanes".into(), "3".into()]), workers);
    assert_eq!(read("lanes = 3").unwrap(), workers);
}
