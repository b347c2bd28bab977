//! A run's files and its report, taken to where the server keeps artifacts.

use std::path::{Path, PathBuf};

use url::{Host, Url};

use super::MlflowError;
use super::rest::{ARTIFACTS, Body, Server};
use crate::RunResult;
use crate::base::file::{self, Access, Replacement};
use crate::report::{self, Report};
use crate::result::RUN_FILES;
use crate::storage::Location;

const UPLOADING: &str = "uploading artifacts";
const JSON: &str = "application/json";
const HTML: &str = "text/html";
/// The report among the artifacts.
const REPORT: &str = "report.html";

/// Uploads the run folder's files and its report, a page. A run in memory has no files; the report of one that
/// kept no responses has no charts of single values.
///
/// # Errors
/// If a file cannot be read, or the server does not take it.
pub(super) async fn upload(
    server: &Server,
    artifact_uri: &str,
    result: &RunResult,
) -> Result<(), MlflowError> {
    let store = Store::of(server, artifact_uri)?;
    if let Some(folder) = &result.summary.output_path {
        upload_files(server, &store, folder).await?;
    }
    let page = report::html(&Report::of_run(result));
    let body = Body::Bytes(page.into_bytes(), HTML);
    store.put(server, &[REPORT], body).await
}

/// Uploads the files that are there. In the cloud, the responses of a run are whole only after its
/// callbacks were called: they are not among them then.
async fn upload_files(
    server: &Server,
    store: &Store,
    folder: &Location,
) -> Result<(), MlflowError> {
    let unreadable = |reason: crate::Error| MlflowError::Artifact(reason.to_string());
    let there = folder.list().await.map_err(unreadable)?;
    for name in RUN_FILES {
        if !there.iter().any(|file| file == name) {
            continue;
        }
        let kind = match name.ends_with(".json") {
            true => JSON,
            false => "application/x-ndjson",
        };
        let file = folder.join(name);
        let body = match file.local_path() {
            Some(path) => Body::File(path, kind),
            None => Body::Bytes(file.read().await.map_err(unreadable)?, kind),
        };
        store.put(server, &[name], body).await?;
    }
    Ok(())
}

/// Where artifacts of a run are kept.
#[derive(Debug, PartialEq)]
enum Store {
    /// Behind the tracking server's, or another server's, artifact proxy.
    Proxy(Url),
    /// In a folder that this machine sees.
    Folder(PathBuf),
}

impl Store {
    fn of(server: &Server, artifact_uri: &str) -> Result<Self, MlflowError> {
        let store = Self::from_uri(server.url(), artifact_uri)?;
        if let Self::Folder(folder) = &store
            && !is_this_machine(server.url())
        {
            return Err(MlflowError::Artifact(format!(
                "the server keeps them in its own folder {}, which cannot be reached from here; {}",
                folder.display(),
                REMEDY
            )));
        }
        Ok(store)
    }

    fn from_uri(server: &Url, artifact_uri: &str) -> Result<Self, MlflowError> {
        let unusable = |shown: &str| {
            MlflowError::Artifact(format!("llmeter cannot write to {shown}; {REMEDY}"))
        };
        if artifact_uri.starts_with('/') {
            return Ok(Self::Folder(artifact_uri.into()));
        }
        let uri = Url::parse(artifact_uri).map_err(|_| unusable("a relative path"))?;
        match uri.scheme() {
            "http" | "https" => Ok(Self::Proxy(uri)),
            "file" => {
                let folder = uri.to_file_path();
                Ok(Self::Folder(folder.map_err(|()| unusable("this file:"))?))
            }
            "mlflow-artifacts" => {
                let mut url = server.clone();
                if let Some(host) = uri.host_str().filter(|host| !host.is_empty()) {
                    url.set_host(Some(host))
                        .map_err(|_| unusable("this mlflow-artifacts: host"))?;
                    url.set_port(uri.port())
                        .map_err(|()| unusable("this mlflow-artifacts: port"))?;
                }
                let base = server.path().trim_end_matches('/');
                let path = uri.path().trim_matches('/');
                url.set_path(&format!("{base}{ARTIFACTS}/{path}"));
                Ok(Self::Proxy(url))
            }
            scheme => Err(unusable(&format!("{scheme}: storage"))),
        }
    }

    async fn put(&self, server: &Server, name: &[&str], body: Body<'_>) -> Result<(), MlflowError> {
        match self {
            Self::Proxy(base) => {
                let mut url = base.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(name);
                }
                server.put(UPLOADING, &url, &body).await
            }
            Self::Folder(folder) => {
                let path = name
                    .iter()
                    .fold(folder.clone(), |path, part| path.join(part));
                copy(&path, &body).map_err(|reason| {
                    MlflowError::Artifact(format!("writing {}: {reason}", path.display()))
                })
            }
        }
    }
}

const REMEDY: &str = "start the server with an artifact proxy (`mlflow server --serve-artifacts \
                      --artifacts-destination …`) and log to a new experiment, or leave out \
                      artifacts";

/// Whether a server's folders are this machine's.
fn is_this_machine(server: &Url) -> bool {
    match server.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn copy(path: &Path, body: &Body<'_>) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match body {
        Body::Empty => Ok(()),
        Body::Bytes(bytes, _) => file::replace(path, bytes, Access::Umask),
        Body::File(from, _) => {
            let mut from = file::open_unlinked(from)?;
            let mut to = Replacement::of(path, Access::Umask)?;
            std::io::copy(&mut from, to.file())?;
            to.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_go_where_the_server_keeps_them() {
        let server = Url::parse("https://host:5000/mlflow").unwrap();
        let store = |uri: &str| Store::from_uri(&server, uri);
        let proxy = |url: &str| Store::Proxy(Url::parse(url).unwrap());
        for (uri, expected) in [
            (
                "mlflow-artifacts:/0/r/artifacts",
                proxy("https://host:5000/mlflow/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts"),
            ),
            (
                "mlflow-artifacts://other:81/0/r",
                proxy("https://other:81/mlflow/api/2.0/mlflow-artifacts/artifacts/0/r"),
            ),
            ("http://third/a", proxy("http://third/a")),
            ("/srv/mlruns/0/r", Store::Folder("/srv/mlruns/0/r".into())),
            (
                "file:///srv/ml%20runs",
                Store::Folder("/srv/ml runs".into()),
            ),
        ] {
            assert_eq!(store(uri).unwrap(), expected, "{uri}");
        }
        for uri in ["s3://bucket/0/r", "./mlruns/0", "dbfs:/x"] {
            let error = store(uri).unwrap_err().to_string();
            assert!(error.contains("--serve-artifacts"), "{error}");
        }
        let error = store("s3://key:hush@bucket/0/r").unwrap_err().to_string();
        assert!(
            error.contains("s3: storage") && !error.contains("hush"),
            "{error}"
        );
    }
}
