//! Shows where secrets go because a file says so, and asks before they do.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;
use llmeter::endpoint::{Destination, Trust};
use llmeter::{Error, Setting};
use serde_json::Value;

use crate::exit;
use crate::output;
use crate::settings::Given;

/// What weakens the way to a server, so that trusting the server is not enough.
const WEAKENING: [Setting; 3] = [Setting::Insecure, Setting::CaFile, Setting::Proxy];

/// What there is to say after a no.
pub(crate) const NOTHING: &str = "nothing was sent";

/// What the user says of trust in this call.
pub(crate) struct Consent<'a> {
    /// The settings, with those that only a configuration file names.
    pub(crate) given: &'a Given,
    /// `--trust-folder`.
    pub(crate) is_given: bool,
}

impl Consent<'_> {
    /// Shows the destinations, and tells whom to trust with secrets; `None` if the user says no.
    ///
    /// # Errors
    /// If there is nobody to ask and a server is not trusted, or the user's own configuration cannot be
    /// used.
    pub(crate) fn to(&self, destinations: &[Destination]) -> Result<Option<Trust>> {
        let named = [Setting::BaseUrl, Setting::Mlflow]
            .into_iter()
            .filter(|setting| !self.given.is_from_file(*setting))
            .filter_map(|setting| self.given.settings.get(setting))
            .flat_map(|value| match value {
                Value::Array(addresses) => addresses,
                address => vec![address],
            })
            .filter_map(|address| Some(address.as_str()?.to_owned()));
        let mut trust = Trust::of_user()?;
        for address in named {
            // An address that is none is refused where it is used.
            trust = trust.clone().host(&address).unwrap_or(trust);
        }
        let weakening: Vec<_> = WEAKENING
            .into_iter()
            .filter(|setting| self.given.is_from_file(*setting))
            .map(exit::flag)
            .collect();
        let is_weakened = !weakening.is_empty();
        let how = match is_weakened {
            true => format!(
                " ({}, as the configuration file says)",
                weakening.join(", ")
            ),
            false => String::new(),
        };
        let mut shown = BTreeSet::new();
        let mut untrusted = Vec::new();
        for destination in destinations {
            let line = format!("{destination}{how}");
            if is_weakened || !trust.includes(destination) {
                untrusted.push(line.clone());
            }
            if shown.insert(line.clone()) {
                output::note(&format!("will send {line}"));
            }
        }
        for file in self.files_to_strangers(&trust) {
            output::note(&format!("will send {file}{how}"));
            untrusted.push(file.to_string());
        }
        if self.is_given {
            return Ok(Some(Trust::everybody()));
        }
        if untrusted.is_empty() {
            return Ok(Some(trust));
        }
        if !can_ask() {
            let destinations = untrusted;
            return Err(Error::Untrusted { destinations }.into());
        }
        Ok(match ask("A file says so, and not you. Send it?")? {
            true => Some(Trust::everybody()),
            false => None,
        })
    }
}

impl Consent<'_> {
    /// The files that the configuration file has sent from elsewhere to a server that it names, too.
    fn files_to_strangers(&self, trust: &Trust) -> Vec<Destination> {
        if !self.given.is_from_file(Setting::BaseUrl) {
            return Vec::new();
        }
        let files = self.given.files_elsewhere();
        let addresses = self.given.settings.base_url.iter().flatten();
        let sent = addresses.flat_map(|address| {
            let to = |file: &String| Destination::new(format!("the file {file}"), address.as_str());
            files.iter().map(to)
        });
        sent.filter(|file| !trust.includes(file)).collect()
    }
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whoever is at the terminal.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    let mut errors = io::stderr();
    write!(errors, "{question} [y/N] ")?;
    errors.flush()?;
    let mut reply = String::new();
    io::stdin().lock().read_line(&mut reply)?;
    Ok(matches!(
        reply.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
