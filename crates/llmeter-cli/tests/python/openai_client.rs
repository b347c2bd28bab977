//! The official `openai` package finds nothing odd about the simulator.

use std::time::Duration;

use llmeter_sim::{SimConfig, Simulator};

use super::{python, run_script};

fn judge(api_key: Option<&str>) {
    let Some(python) = python() else { return };
    let simulator = Simulator::start(SimConfig {
        ttft: Duration::from_millis(1),
        itl: Duration::from_millis(1),
        api_key: api_key.map(str::to_owned),
        ..SimConfig::default()
    })
    .unwrap();
    let arguments = [simulator.base_url()].into_iter();
    let arguments = arguments.chain(api_key.map(str::to_owned));
    for name in ["openai_client.py", "openai_other_apis.py"] {
        println!("{}", run_script(&python, name, arguments.clone()));
    }
}

#[test]
fn the_openai_client_is_content_with_the_simulator() {
    judge(None);
}

#[test]
fn the_openai_client_is_content_with_a_simulator_that_wants_a_key() {
    judge(Some("sk-test-key"));
}
