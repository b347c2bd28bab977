//! llmeter measures how fast, how steady and how costly an LLM endpoint is.
//!
//! It sends requests to an endpoint under a chosen load, takes the time of every streamed token,
//! and turns that into statistics and a verdict on its own measurement.
//!
//! ```no_run
//! use std::sync::Arc;
//! use llmeter::{Load, OpenAiChat, RunConfig, Runner};
//!
//! let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
//! let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
//! let config = RunConfig::new(Arc::new(endpoint), [payload])
//!     .clients(16)
//!     .load(Load::Requests(10))
//!     .output("runs");
//! let result = Runner::new(config).run_blocking()?;
//! println!("{}", llmeter::report::summary(&result));
//! # Ok::<(), llmeter::Error>(())
//! ```
//!
//! `examples/` has this as a program (`run_from_rust.rs`) and an endpoint of one's own
//! (`own_endpoint.rs`).
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`api`] | LLM APIs: how a payload becomes a request, what the frames of a response mean |
//! | [`endpoint`] | an API at an address: authentication, signing, settings, saved form |
//! | [`wire`] | bytes with times: connections, HTTP, framing, receive stamps, clocks |
//! | [`load`] | what is to be sent when |
//! | [`run`] | one load against one endpoint, giving one result |
//! | [`probe`] | one request, looked at closely |
//! | [`stats`] | figures from responses |
//! | [`result`] | results, and the files of a run folder |
//! | [`callback`] | code that is hooked into a run |
//! | [`cost`] | what a run costs, and the limit of cost |
//! | `mlflow` | runs logged to an MLflow tracking server |
//! | [`saved`] | objects as files hold them |
//! | [`storage`] | local and cloud paths behind one type |
//! | `aws` | credentials and signatures of AWS, whoever needs them |
//! | [`payload`] | what is sent, and how its tokens are counted |
//! | [`data`] | where requests come from: data that is made or read |
//! | [`experiment`] | several runs that answer one question |
//! | [`catalog`] | which runs and experiments there are below a folder |
//! | [`report`] | results as text, tables, charts and pages |
//! | [`export`] | results in the forms of other tools |
//! | `view` | a local page with the runs below a folder |
//!
//! # Cargo features
//!
//! All are on by default; `default-features = false` leaves them out, and with them most
//! dependencies. What a build lacks is refused with [`Error::MissingFeature`] or as an unknown name.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `aws` | Amazon Bedrock (Converse and InvokeModel) and SageMaker with signed requests, Claude on Bedrock, SageMaker's prices, and the AWS SDK's chain of credentials, for `s3://` too |
//! | `cloud` | run folders, payloads and files in S3, Google Cloud Storage and Azure Blob Storage |
//! | `hf-tokenizers` | token counts by a Hugging Face `tokenizer.json` (`hf:FILE`) |
//! | `mlflow` | runs logged to an MLflow tracking server |
//! | `parquet` | requests of runs as a Parquet file |
//! | `tiktoken` | token counts by OpenAI's encodings (`tiktoken:NAME`) |
//! | `view` | the local viewer |

pub mod api;
mod aws;
mod base;
pub mod callback;
pub mod catalog;
pub mod cost;
pub mod data;
pub mod endpoint;
pub mod experiment;
pub mod export;
pub mod load;
#[cfg(feature = "mlflow")]
pub mod mlflow;
pub mod payload;
pub mod probe;
pub mod report;
pub mod result;
pub mod run;
pub mod saved;
pub mod stats;
pub mod storage;
#[cfg(feature = "view")]
pub mod view;

pub use base::error::{Error, Result};
pub use base::failure::{Failure, FailureKind};
pub use base::host::raise_open_file_limit;
pub use base::setting::{Setting, SettingGroup, SettingKind, SettingProblem};
pub use callback::Callback;
pub use endpoint::{Endpoint, InvocationResponse, OpenAiChat};
/// Bytes with times: connections, HTTP, framing, receive stamps, clocks.
pub use llmeter_wire as wire;
pub use llmeter_wire::{Phase, StampSource};
pub use load::Load;
pub use result::{MeasurementQuality, RunResult, Spread, Verdict};
pub use run::{
    Connections, Interrupt, Observer, Progress, RunConfig, RunSettings, Runner, SavedRun,
    ServerCall, default_run_name, parse_time,
};

/// The callbacks that llmeter brings. They are named here because the root sees every layer, while
/// `callback` lies below most of them.
const CALLBACKS: &[fn(&mut saved::Registry<dyn Callback>)] = &[
    callback::add::<callback::CacheBuster>,
    callback::add::<cost::CostModel>,
    #[cfg(feature = "mlflow")]
    callback::add::<mlflow::MlflowCallback>,
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_cargo_feature_is_described() {
        let manifest = include_str!("../Cargo.toml");
        let (_, features) = manifest.split_once("[features]\n").unwrap();
        let (features, _) = features.split_once("\n\n").unwrap();
        let names = features
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once(" = ").unwrap().0)
            .filter(|name| *name != "default");
        let mut count = 0;
        for name in names {
            let row = format!("//! | `{name}` | ");
            assert!(include_str!("lib.rs").contains(&row), "{name}");
            let readme = include_str!("../../../README.md");
            assert!(readme.contains(&format!("`{name}`")), "{name}");
            count += 1;
        }
        assert!(count > 0);
    }
}
