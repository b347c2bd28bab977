use super::*;

fn server(url: &str) -> Server {
    Server::from_url(&url.parse().unwrap()).unwrap()
}

/// What an environment with these variables says of a server.
fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let said = Proxies::from_variables(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let proxy = said.to(&server(url)).unwrap();
    proxy.map(|proxy| proxy.shown().to_owned())
}

#[test]
fn the_scheme_of_the_server_chooses_the_variable() {
    let variables = [("https_proxy", "http://a:1"), ("HTTP_PROXY", "b:2")];
    let a = Some("http://a:1".to_owned());
    assert_eq!(chosen(&variables, "https://far.example"), a);
    let b = Some("http://b:2".to_owned());
    assert_eq!(chosen(&variables, "http://far.example:8000"), b);
    assert_eq!(chosen(&[("ALL_PROXY", "a:1")], "https://far.example"), a);
    let both = [
        ("https_proxy", "a:1"),
        ("HTTPS_PROXY", "b:2"),
        ("all_proxy", "c:3"),
    ];
    assert_eq!(chosen(&both, "https://far.example"), a);
    assert_eq!(chosen(&[("https_proxy", " ")], "https://far.example"), None);
    assert_eq!(chosen(&[], "https://far.example"), None);
}

#[test]
fn this_machine_is_reached_without_a_proxy_of_the_environment() {
    for url in [
        "http://localhost:8000",
        "http://llm.localhost",
        "http://127.0.0.1:8000",
        "http://127.3.2.1",
        "http://[::1]:8000",
        "http://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(chosen(&[("all_proxy", "a:1")], url), None, "{url}");
        let all = Proxies::All(Proxy::from_url("a:1").unwrap());
        assert!(all.to(&server(url)).unwrap().is_some(), "the user said so");
    }
    let socket = Server::from_socket("/run/llm.sock").unwrap();
    let all = Proxies::All(Proxy::from_url("a:1").unwrap());
    assert!(all.to(&socket).unwrap().is_none());
}

#[test]
fn exceptions() {
    for (list, url, is_excepted) in [
        ("*", "https://far.example", true),
        ("far.example", "https://far.example", true),
        ("FAR.example", "https://llm.Far.Example:8000", true),
        (".far.example", "https://llm.far.example", true),
        ("*.far.example", "https://llm.far.example", true),
        ("ar.example", "https://far.example", false),
        ("other.example, far.example", "https://far.example", true),
        ("other.example far.example", "https://far.example", true),
        ("far.example:443", "https://far.example", true),
        ("far.example:8000", "https://far.example", false),
        ("10.1.2.3", "http://10.1.2.3:8000", true),
        ("10.1.2.3:8000", "http://10.1.2.3:8000", true),
        ("10.1.2.3:80", "http://10.1.2.3:8000", false),
        ("2.3", "http://10.1.2.3", false),
        ("10.0.0.0/8", "http://10.1.2.3:8000", true),
        ("10.0.0.0/8", "http://11.1.2.3:8000", false),
        ("10.0.0.0/8:8000", "http://10.1.2.3:8000", true),
        ("10.0.0.0/8:8001", "http://10.1.2.3:8000", false),
        ("0.0.0.0/0", "http://11.1.2.3", true),
        ("10.0.0.0/33", "http://10.0.0.0", false),
        ("10.0.0.0/x", "http://10.0.0.0", false),
        ("10.0.0.0/8", "http://10.example", false),
        ("fd00::/8", "http://[fd12::1]", true),
        ("fd00::/8", "http://[fe12::1]", false),
        ("::/0", "http://10.0.0.1", false),
        ("fd12::1", "http://[fd12::1]:80", true),
        ("[fd12::1]", "http://[fd12::1]:81", true),
        ("[fd12::1]:80", "http://[fd12::1]:81", false),
        (",, ,", "https://far.example", false),
    ] {
        let variables = [("all_proxy", "a:1"), ("NO_PROXY", list)];
        let is_direct = chosen(&variables, url).is_none();
        assert_eq!(is_direct, is_excepted, "{list} and {url}");
    }
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let proxy = Proxy::from_url("http://me%40work:geh%3Aeim@proxy:3128/").unwrap();
    let authorization = proxy.authorization().unwrap().expose_secret();
    let pair = authorization.strip_prefix("Basic ").unwrap();
    assert_eq!(BASE64_STANDARD.decode(pair).unwrap(), b"me@work:geh:eim");
    assert_eq!(proxy.shown(), "http://proxy:3128");
    let debug = format!("{proxy:?}");
    assert!(!debug.contains("eim") && !debug.contains(pair), "{debug}");
    let variables = |_: &str| Some("http://me:geheim@proxy:3128".to_owned());
    let debug = format!(
        "{:?}",
        Proxies::from_variables(variables).to(&server("http://far"))
    );
    assert!(!debug.contains("geheim"), "{debug}");
}

#[test]
fn what_is_no_proxy_is_refused() {
    for (url, part) in [
        ("socks5://proxy:1080", "SOCKS is not supported"),
        ("https://proxy", "reached over http://"),
        ("ftp://proxy", "HTTP proxy"),
        ("http://proxy/path", "without a path"),
        ("http://", "HTTP proxy"),
        ("", "HTTP proxy"),
        ("http://me:geheim@proxy/path", "without a path"),
        ("socks5://me:geheim@proxy", "SOCKS is not supported"),
    ] {
        let error = Proxy::from_url(url).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
    let said = Proxies::from_variables(|_| Some("socks5://proxy".to_owned()));
    let error = said.to(&server("https://far.example")).unwrap_err();
    let named = matches!(
        error,
        SetupError::Proxy {
            variable: Some("https_proxy"),
            ..
        }
    );
    assert!(named, "{error}");
    // One that is not asked for is no reason to refuse.
    assert!(said.to(&server("https://localhost")).unwrap().is_none());
}
