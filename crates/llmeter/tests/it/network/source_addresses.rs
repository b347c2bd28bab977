//! The addresses of this machine that connections come from. Whole 127/8 is, on Linux.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use llmeter::wire::{Proxies, Proxy};
use llmeter::{Connections, Load, OpenAiChat, RunConfig, RunSettings, Runner};

use crate::scripted::answers::{chunked, whole_stream};
use crate::scripted::{finish, payload, run};

/// Answers one request on each connection, and notes where it came from.
fn serve() -> (SocketAddr, Arc<Mutex<Vec<IpAddr>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peers = Arc::<Mutex<Vec<IpAddr>>>::default();
    let seen = peers.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let peer = stream.peer_addr().unwrap().ip();
            // One that only looks whether anybody is there sends nothing.
            if stream.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {
                seen.lock().unwrap().push(peer);
                let answer = chunked(&whole_stream(&["all"]));
                stream.write_all(&answer).unwrap();
            }
        }
    });
    (address, peers)
}

fn config(base_url: &str, addresses: &[&str]) -> RunConfig {
    let endpoint = OpenAiChat::builder(base_url, "m").build().unwrap();
    let mut config = RunConfig::new(Arc::new(endpoint), [payload("hello")]);
    config.connections = Connections::New;
    let addresses = addresses.iter().map(ToString::to_string).collect();
    let settings = RunSettings {
        source_address: Some(addresses),
        no_proxy: Some(true),
        ..RunSettings::default()
    };
    settings.apply(&mut config).unwrap();
    config
}

fn refused(config: RunConfig) -> String {
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    error.to_string()
}

#[test]
fn connections_take_them_in_turn_through_a_proxy_too() {
    let sources = ["127.0.0.5", "127.0.0.6", "127.0.0.7"];
    for is_proxied in [false, true] {
        let (address, peers) = serve();
        let base_url = match is_proxied {
            true => "http://llm.example/v1".to_owned(),
            false => format!("http://{address}/v1"),
        };
        let mut config = config(&base_url, &sources).load(Load::Requests(6));
        if is_proxied {
            config.proxies = Proxies::All(Proxy::from_url(&format!("http://{address}")).unwrap());
        }
        let result = run(config);
        assert!(
            result
                .responses
                .iter()
                .all(|response| response.error.is_none())
        );
        let peers = peers.lock().unwrap();
        assert_eq!(peers.len(), 6);
        for (one, other) in peers.iter().zip(&peers[3..]) {
            assert_eq!(one, other, "{peers:?}");
        }
        let mut seen: Vec<_> = peers[..3].iter().map(ToString::to_string).collect();
        seen.sort_unstable();
        assert_eq!(seen, sources);
    }
}

#[test]
fn what_cannot_be_one_is_refused_before_anything_is_sent() {
    let (address, peers) = serve();
    let base_url = format!("http://{address}/v1");
    // Nobody has it: it is for examples (RFC 5737).
    let error = refused(config(&base_url, &["192.0.2.1"]));
    assert_eq!(
        error,
        "source_address 192.0.2.1: expected an address of this machine"
    );
    let error = refused(config(&base_url, &["::1"]));
    let wanted = "source_address: expected an IPv4 address among them, since the server or proxy is at 127.0.0.1";
    // A machine without IPv6 says that the address is none of its own.
    assert!(
        error == wanted || error.contains("of this machine"),
        "{error}"
    );
    let error = refused(config("unix:/tmp/none.sock:/v1", &["127.0.0.5"]));
    assert_eq!(error, "source_address is not supported by a Unix socket");
    assert!(peers.lock().unwrap().is_empty());
    let settings = RunSettings {
        source_address: Some(vec!["eth0".to_owned()]),
        ..RunSettings::default()
    };
    let error = settings.apply(&mut config(&base_url, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source_address eth0: expected an IP address of this machine"
    );
}
