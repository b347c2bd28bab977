//! Several servers with the same API and model.

use llmeter::load::Balance;
use llmeter::{Connections, Error, Load, RunConfig, RunResult, Runner, SavedRun, Setting};
use serde_json::{Value, json};

use super::{assert_saved, config, failure, friendly};
use crate::scripted::{Scripted, run};

/// A run at all of these.
fn at(servers: &[&Scripted], payloads: usize) -> RunConfig {
    let mut config = config(servers[0], payloads);
    let replicas = servers[1..].iter();
    config.replicas = replicas.map(|server| server.config().endpoint).collect();
    config
}

/// A statistic of each server.
fn of_each(result: &RunResult, key: &str) -> Vec<Value> {
    let servers = result.stats().servers;
    servers.iter().map(|server| server[key].clone()).collect()
}

#[test]
fn requests_go_round_the_servers_and_each_has_its_figures() {
    let (one, other) = (friendly(), friendly());
    let folder = tempfile::tempdir().unwrap();
    let mut config = at(&[&one, &other], 2).output(folder.path());
    config.load = Load::Requests(6);
    let result = run(config);
    assert_eq!((one.requests(), other.requests()), (3, 3));
    // A client keeps the connection to each of them.
    assert_eq!((one.connections(), other.connections()), (1, 1));
    let names = of_each(&result, "server");
    let seen: Vec<_> = result
        .responses
        .iter()
        .map(|response| response.detail.server.as_str().map(Value::from).unwrap())
        .collect();
    assert_eq!(seen[..2], names[..]);
    assert_eq!(seen[2..4], names[..]);
    assert_eq!(of_each(&result, "total_requests"), [json!(3), json!(3)]);
    assert_eq!(
        of_each(&result, "time_to_connect-count"),
        [json!(1), json!(1)]
    );
    for (server, name) in names.iter().enumerate() {
        let own: Vec<_> = result
            .responses
            .iter()
            .filter(|response| response.detail.server.as_str() == name.as_str())
            .filter_map(|response| response.time_to_first_token)
            .collect();
        let mean = own.iter().sum::<f64>() / 3.0;
        let told = of_each(&result, "time_to_first_token-average")[server].as_f64();
        assert!((told.unwrap() - mean).abs() < 1e-12);
    }
    assert_saved(&result);
    let text = llmeter::report::summary(&result);
    assert!(
        names
            .iter()
            .all(|name| text.contains(name.as_str().unwrap())),
        "{text}"
    );
    // The folder has what it takes to repeat it.
    let saved = SavedRun::load(result.summary.output_path.clone().unwrap()).unwrap();
    let again = saved.into_config(None).unwrap();
    assert_eq!(
        (again.replicas.len(), again.balance),
        (1, Balance::RoundRobin)
    );
    run(again);
    assert_eq!((one.requests(), other.requests()), (6, 6));
}

#[test]
fn a_client_stays_at_its_server_if_sessions_do() {
    let (one, other) = (friendly(), friendly());
    let mut config = at(&[&one, &other], 1).clients(2);
    config.load = Load::Requests(3);
    config.balance = Balance::Session;
    let result = run(config);
    assert_eq!((one.requests(), other.requests()), (3, 3));
    let mut pairs: Vec<_> = result
        .responses
        .iter()
        .map(|response| (response.detail.client, response.detail.server))
        .collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), 2, "{pairs:?}");
}

#[test]
fn a_server_that_fails_is_named() {
    let (good, bad) = (friendly(), Scripted::start(vec![failure()]));
    let mut config = at(&[&good, &bad], 1);
    config.load = Load::Requests(4);
    config.failure_pause = false;
    let result = run(config);
    assert_eq!(of_each(&result, "failed_requests"), [json!(0), json!(2)]);
    let failures = of_each(&result, "failure");
    assert_eq!(failures[0], Value::Null);
    assert!(failures[1].as_str().unwrap().contains("no such luck"));
    let text = llmeter::report::summary(&result);
    let of_bad = text.lines().find(|line| line.contains("no such luck"));
    let name = of_each(&result, "server")[1].clone();
    assert!(of_bad.unwrap().contains(name.as_str().unwrap()), "{text}");
}

#[test]
fn each_server_is_prepared_and_must_be_there() {
    let (one, other) = (friendly(), friendly());
    let mut config = at(&[&one, &other], 1);
    config.load = Load::Requests(1);
    config.before_run = vec!["POST /reset".parse().unwrap()];
    run(config.clone());
    // The call and, of one of them, the request.
    assert_eq!((one.requests(), other.requests()), (2, 1));

    let elsewhere = |model: &str| {
        let endpoint = llmeter::OpenAiChat::builder("http://127.0.0.1:1/v1", model).build();
        std::sync::Arc::new(endpoint.unwrap())
    };
    config.replicas = vec![elsewhere("another")];
    let error = config.validate().unwrap_err();
    assert!(error.to_string().starts_with("replicas"), "{error}");
    let model = config.endpoint.identity().model_id.clone();
    config.replicas = vec![elsewhere(&model)];
    let Err(Error::Unreachable { server, .. }) = llmeter::Runner::new(config).run_blocking() else {
        panic!("nobody is there");
    };
    assert_eq!(server, "127.0.0.1:1");
}

#[test]
fn addresses_with_one_name_are_told_apart() {
    let server = friendly();
    let mut config = at(&[&server, &server], 1);
    config.load = Load::Requests(2);
    config.connections = Connections::New;
    let result = run(config);
    let names = of_each(&result, "server");
    assert_eq!(
        names[1].as_str().unwrap(),
        format!("{} (2)", names[0].as_str().unwrap())
    );
}

/// All servers have one capture; each response is found among the packets of its own.
#[test]
fn packet_stamps_are_for_several_servers_too() {
    let servers = [(); 3].map(|()| friendly());
    let servers: Vec<&Scripted> = servers.iter().collect();
    let mut config = at(&servers, 3);
    config.stamps = llmeter::StampSource::Packet;
    config.load = Load::Requests(6);
    let result = match Runner::new(config).run_blocking() {
        Err(Error::Invalid {
            setting: Setting::Stamps,
            ..
        }) => {
            eprintln!("skipped: packets cannot be captured");
            return;
        }
        result => result.unwrap(),
    };
    let quality = result.quality.unwrap();
    assert_eq!(quality.stamps, llmeter::StampSource::Packet);
    assert_eq!(quality.packets_dropped, Some(0));
    assert_eq!(result.responses.len(), 6);
    let mut found = result.responses.iter();
    assert!(found.all(|one| one.path().send_delay.is_some()));
}
