//! `llmeter view`, and `--view` of a run.

use anyhow::Result;
use llmeter::storage::Location;

use crate::args::ViewArguments;
use crate::exit::Exit;
use crate::{output, signals};

pub(crate) fn view(arguments: &ViewArguments) -> Result<Exit> {
    let mut signals = signals::catch()?;
    let folder = arguments.folder.local_path();
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        let folder = folder.display();
        output::note(&format!("note: there is no folder {folder} yet"));
    }
    let viewing = Viewing::start(&arguments.folder, arguments.port, arguments.open)?;
    // What a script waits for.
    output::raw(&format!("{}\n", viewing.url()))?;
    output::note("whoever has this address sees the runs; Ctrl-C ends it");
    signals.wait();
    Ok(Exit::Done)
}

/// A page that is served until this is dropped.
#[cfg(feature = "view")]
pub(super) struct Viewing {
    viewer: llmeter::view::Viewer,
    /// Leads a browser to the page, and goes with it.
    _opened: Option<tempfile::NamedTempFile>,
}

#[cfg(feature = "view")]
impl Viewing {
    pub(super) fn start(folder: &Location, port: u16, opens: bool) -> Result<Self> {
        let viewer = llmeter::view::Viewer::start(llmeter::view::ViewSettings {
            folder: folder.clone(),
            port,
            cache: crate::cache::of_runs(folder),
        })?;
        let opened = match opens {
            true => open(viewer.url())
                .inspect_err(|reason| output::note(&format!("warning: no browser: {reason}")))
                .ok(),
            false => None,
        };
        Ok(Self {
            viewer,
            _opened: opened,
        })
    }

    pub(super) fn url(&self) -> &str {
        self.viewer.url()
    }
}

/// Opens a browser by way of a file that only the user can read: arguments of processes are for everybody to
/// see.
#[cfg(feature = "view")]
fn open(url: &str) -> std::io::Result<tempfile::NamedTempFile> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut file = tempfile::Builder::new()
        .prefix("llmeter-view-")
        .suffix(".html")
        .tempfile()?;
    // The address has nothing that HTML would read otherwise.
    writeln!(
        file,
        "<!doctype html><meta charset=\"utf-8\"><title>llmeter</title>\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">llmeter</a>"
    )?;
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    Command::new(opener)
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(file)
}

/// What stands for the page in a build without it.
#[cfg(not(feature = "view"))]
pub(super) enum Viewing {}

#[cfg(not(feature = "view"))]
impl Viewing {
    pub(super) fn start(_: &Location, _: u16, _: bool) -> Result<Self> {
        Err(llmeter::Error::MissingFeature {
            what: "the viewer".to_owned(),
            feature: "view",
        }
        .into())
    }

    pub(super) fn url(&self) -> &str {
        match *self {}
    }
}
