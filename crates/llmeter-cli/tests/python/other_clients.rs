//! The official packages of other APIs than OpenAI's find nothing odd about the simulator.

use std::time::Duration;

use llmeter_sim::{SimConfig, Simulator};

use super::{python, run_script};

const KEY: &str = "a-key-for-tests";

fn judge(script: &str, api_key: Option<&str>) {
    let Some(python) = python() else { return };
    let simulator = Simulator::start(SimConfig {
        ttft: Duration::from_millis(1),
        itl: Duration::from_millis(1),
        api_key: api_key.map(str::to_owned),
        ..SimConfig::default()
    })
    .unwrap();
    let base_url = simulator.base_url();
    // These clients add the version themselves.
    let address = base_url.strip_suffix("/v1").unwrap_or(&base_url).to_owned();
    let arguments = [address].into_iter().chain(api_key.map(str::to_owned));
    println!("{}", run_script(&python, script, arguments));
}

#[test]
fn the_anthropic_client_is_content_with_the_simulator() {
    judge("anthropic_client.py", Some(KEY));
}

#[test]
fn the_gemini_client_is_content_with_the_simulator() {
    judge("gemini_client.py", Some(KEY));
}

#[test]
fn the_ollama_client_is_content_with_the_simulator() {
    judge("ollama_client.py", None);
}
