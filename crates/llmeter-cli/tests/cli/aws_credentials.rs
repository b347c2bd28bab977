//! Where the AWS tools find credentials, llmeter finds them.

use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::scripted::{Request, Scripted, json};
use crate::support::{Place, Said, quick, said, start};

const ARGUMENTS: [&str; 6] = [
    "--endpoint",
    "bedrock-converse",
    "--clients",
    "1",
    "--requests",
    "2",
];

/// A model, and everything that hands out credentials.
fn cloud() -> Scripted {
    Scripted::start(|request| {
        let path = request.head[0].split(' ').nth(1).unwrap();
        let hour = in_seconds(3600);
        let keys = |id: &str, expiry: (&str, serde_json::Value)| {
            let mut keys = json!({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id,
                "SecretAccessKey": "hunter22", "Token": "tok22en", "LastUpdated": in_seconds(0)});
            keys[expiry.0] = expiry.1;
            keys.to_string()
        };
        match path {
            "/model/some-model/converse" => json("200 OK", &converse()),
            "/latest/api/token" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\
                x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\ntoken"
                .to_owned(),
            "/latest/meta-data/placement/region" => text("ap-south-1"),
            "/latest/meta-data/iam/security-credentials/" => text("my-role"),
            "/latest/meta-data/iam/security-credentials/my-role" => {
                json("200 OK", &keys("ASIAINSTANCE", ("Expiration", json!(hour))))
            }
            "/container" if request.header("authorization") == Some("of-the-container") => json(
                "200 OK",
                &keys("ASIACONTAINER", ("Expiration", json!(hour))),
            ),
            _ if path.starts_with("/federation/credentials?")
                && request.header("x-amz-sso_bearer_token") == Some("signed-in") =>
            {
                let role = json!({"roleCredentials": {"accessKeyId": "ASIASIGNEDIN",
                    "secretAccessKey": "hunter22", "sessionToken": "tok22en",
                    "expiration": 4_102_444_800_000_u64}});
                json("200 OK", &role.to_string())
            }
            "/" if request.text().contains("Action=AssumeRole") => text(&format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
                 <SecretAccessKey>hunter22</SecretAccessKey><SessionToken>tok22en</SessionToken>\
                 <Expiration>{hour}</Expiration></Credentials></AssumeRoleResult>\
                 </AssumeRoleResponse>"
            )),
            _ => json(
                "401 Unauthorized",
                "{\"__type\": \"UnauthorizedException\", \"message\": \"Session token not found\"}",
            ),
        }
    })
}

fn converse() -> String {
    json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "Some words"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 2, "outputTokens": 2, "totalTokens": 4},
    })
    .to_string()
}

fn text(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn in_seconds(seconds: i64) -> String {
    let time = Timestamp::now() + SignedDuration::from_secs(seconds);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn root(server: &Scripted) -> &str {
    server.url.trim_end_matches("/v1")
}

/// A command that knows nothing of AWS but what the test says.
pub(crate) fn alone<'c>(place: &Place, command: &'c mut Command) -> &'c mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env("HOME", place.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

/// A run with this in the environment.
fn run(place: &Place, server: &Scripted, more: &[&str], variables: &[(&str, &str)]) -> Said {
    let arguments: Vec<&str> = ARGUMENTS.iter().chain(more).copied().collect();
    let mut command = place.run_command(root(server), &arguments);
    alone(place, &mut command).envs(variables.iter().copied());
    said(command)
}

/// The requests to the model, and what each was signed with: key and region.
#[track_caller]
fn signed(server: &Scripted) -> Vec<(String, String)> {
    let is_model = |request: &Request| request.head[0].contains("/converse");
    let models = server.requests().into_iter().filter(is_model);
    models
        .map(|request| {
            let line = request.header("authorization").unwrap().to_owned();
            let scope = line.split_once("Credential=").unwrap().1;
            let mut parts = scope.split('/');
            let key = parts.next().unwrap().to_owned();
            (key, parts.nth(1).unwrap().to_owned())
        })
        .collect()
}

#[track_caller]
fn all_signed(server: &Scripted, key: &str, region: &str) {
    let signed = signed(server);
    assert!(!signed.is_empty());
    for signature in signed {
        assert_eq!(signature, (key.to_owned(), region.to_owned()));
    }
}

#[test]
fn the_instance_is_asked_last_for_credentials_and_region() {
    let (place, server) = (Place::new(), cloud());
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", root(&server)),
    ];
    run(&place, &server, &[], &variables).exits(0);
    all_signed(&server, "ASIAINSTANCE", "ap-south-1");
}

#[test]
fn a_container_hands_out_credentials() {
    let (place, server) = (Place::new(), cloud());
    let address = format!("{}/container", root(&server));
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-container"),
    ];
    run(&place, &server, &["--region", "eu-west-1"], &variables).exits(0);
    all_signed(&server, "ASIACONTAINER", "eu-west-1");
}

#[test]
fn single_sign_on_is_used_as_long_as_one_is_signed_in() {
    let (place, server) = (Place::new(), cloud());
    place.file(
        ".aws/config",
        "[profile mine]\nregion = eu-west-1\nsso_start_url = https://example.com/start\n\
         sso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Reader\n",
    );
    // The name of the file is the SHA-1 of the address.
    let token = |token: &str| {
        place.file(
            ".aws/sso/cache/b343494cf15ba6b81449840ea93161cf3b27e5e3.json",
            json!({"startUrl": "https://example.com/start", "region": "eu-west-1",
                "accessToken": token, "expiresAt": in_seconds(3600)})
            .to_string(),
        )
    };
    let variables = [
        ("AWS_PROFILE", "mine"),
        ("AWS_ENDPOINT_URL_SSO", root(&server)),
    ];
    token("signed-in");
    run(&place, &server, &[], &variables).exits(0);
    all_signed(&server, "ASIASIGNEDIN", "eu-west-1");

    token("signed-out");
    let refused = run(&place, &server, &["--overwrite"], &variables).exits(1);
    refused.one_error(&[
        "there are no AWS credentials",
        "aws sso login --profile mine",
    ]);
}

#[test]
fn a_role_is_assumed_with_the_keys_of_its_source() {
    let (place, server) = (Place::new(), cloud());
    place.file(
        ".aws/config",
        "[profile mine]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/reader\n\
         source_profile = base\n[profile base]\naws_access_key_id = AKIDBASE\n\
         aws_secret_access_key = hunter22\n",
    );
    let variables = [
        ("AWS_PROFILE", "mine"),
        ("AWS_ENDPOINT_URL_STS", root(&server)),
    ];
    run(&place, &server, &[], &variables).exits(0);
    all_signed(&server, "ASIAROLE", "eu-west-1");
    let asked = server.requests();
    let assume = asked
        .iter()
        .find(|request| request.text().contains("AssumeRole"));
    let authorization = assume.unwrap().header("authorization").unwrap();
    assert!(
        authorization.contains("Credential=AKIDBASE/"),
        "{authorization}"
    );
}

#[cfg(unix)]
#[test]
fn a_process_is_asked_again_before_its_credentials_expire() {
    let (place, server) = (Place::new(), cloud());
    // Each key lasts two seconds, and has the number of the call in its name.
    let script = place.file(
        "keys.sh",
        "echo called >> calls\n\
         count=$(wc -l < calls)\n\
         end=$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)\n\
         echo \"{\\\"Version\\\": 1, \\\"AccessKeyId\\\": \\\"ASIA$((count))\\\", \
         \\\"SecretAccessKey\\\": \\\"hunter22\\\", \\\"SessionToken\\\": \\\"t\\\", \
         \\\"Expiration\\\": \\\"$end\\\"}\"\n",
    );
    place.file(
        ".aws/config",
        format!("[default]\nregion = eu-west-1\ncredential_process = sh {script}\n"),
    );
    let arguments = ["--endpoint", "bedrock-converse", "--duration", "5s"];
    let mut command = place.run_command(root(&server), &arguments);
    alone(&place, &mut command);
    said(command).exits(0);
    assert_eq!(place.stats()["failed_requests"], 0);
    let mut keys: Vec<_> = signed(&server).into_iter().map(|(key, _)| key).collect();
    keys.dedup();
    assert!(keys.len() >= 2, "{keys:?}");
}

#[cfg(unix)]
#[test]
fn what_a_process_prints_has_a_limit() {
    let (place, server) = (Place::new(), cloud());
    for (command, reason) in [
        ("cat /dev/zero", "it prints more than 65536 bytes"),
        ("cat /dev/zero >&2", "it prints more than 65536 bytes"),
        ("echo hunter22", "what it printed are no credentials"),
        (
            "echo hunter22 expired >&2; exit 3",
            "exit status: 3: <redacted> expired",
        ),
    ] {
        let profile = format!(
            "[default]\nregion = eu-west-1\ncredential_process = {command}\n\
             aws_session_token = hunter22\n"
        );
        place.file(".aws/config", profile);
        let refused = run(&place, &server, &["--overwrite"], &[]).exits(1);
        refused.one_error(&["there are no AWS credentials: credential_process: ", reason]);
        assert!(!refused.err.contains("hunter22"), "{refused:#?}");
    }
    assert!(server.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn token_files_that_are_no_files_or_too_large_are_refused() {
    let (place, server) = (Place::new(), cloud());
    let pipe = place.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let large = place.path().join("large");
    std::fs::File::create(&large)
        .unwrap()
        .set_len(2 << 20)
        .unwrap();
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader");
    for (path, reason) in [(&pipe, "regular file"), (&large, "at most 1 MiB")] {
        for variable in ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONFIG_FILE"] {
            if (variable, path) == ("AWS_CONFIG_FILE", &large) {
                continue;
            }
            let variables = [role, (variable, path.to_str().unwrap())];
            let region = ["--region", "eu-west-1", "--overwrite"];
            let refused = run(&place, &server, &region, &variables).exits(1);
            refused.one_error(&["there are no AWS credentials: ", reason]);
        }
    }
    place.file(
        ".aws/config",
        "[default]\nregion = eu-west-1\nsso_start_url = https://example.com/start\n\
         sso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Reader\n",
    );
    place.file(
        ".aws/sso/cache/b343494cf15ba6b81449840ea93161cf3b27e5e3.json",
        " ".repeat(2 << 20),
    );
    let refused = run(&place, &server, &["--overwrite"], &[]).exits(1);
    refused.one_error(&["there are no AWS credentials: ", "at most 1 MiB"]);
}

#[test]
fn without_credentials_nothing_is_sent_and_the_error_says_what_to_do() {
    let (place, server) = (Place::new(), cloud());
    let region = ["--region", "eu-west-1"];
    run(&place, &server, &region, &[]).exits(2).one_error(&[
        "an AWS access key is required",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
    ]);
    run(&place, &server, &region, &[("AWS_PROFILE", "nobody")])
        .exits(2)
        .one_error(&["there is no profile nobody (AWS_PROFILE)"]);
    place.file(".aws/config", "[default]\ncredential_process = false\n");
    run(&place, &server, &region, &[])
        .exits(1)
        .one_error(&["there are no AWS credentials: "]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[test]
fn a_run_is_repeated_at_its_own_address() {
    let (place, server) = (Place::new(), cloud());
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDMINE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter22"),
    ];
    run(&place, &server, &["--region", "eu-west-1"], &keys).exits(0);
    let config = place.json("run_config.json");
    let state = &config["endpoint"]["__llmeter_state__"];
    assert!(state.get("base_url").is_none(), "{state}");
    let again = ["run", "--from", "runs/it", "--run-name", "again"];
    let mut command = place.command(again);
    alone(&place, &mut command).envs(keys);
    let refused = said(command).exits(2);
    let will = format!("will send AWS credentials to {}\n", root(&server));
    assert!(refused.err.starts_with(&will), "{refused:#?}");
    let mut command = place.command(again.into_iter().chain(["--trust-folder"]));
    alone(&place, &mut command).envs(keys);
    said(command).exits(0);
    assert_eq!(signed(&server).len(), 4);
}

#[test]
fn claude_on_bedrock_runs_and_is_repeated_from_its_folder() {
    let mut config = quick();
    config.verify_sigv4 = Some(("AKIDMINE".into(), "hunter22".into()));
    let (place, simulator) = (Place::new(), start(config));
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDMINE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter22"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let address = simulator.base_url();
    let address = address.trim_end_matches("/v1");
    let arguments = [
        "run",
        "--endpoint",
        "anthropic-messages-stream",
        "--provider",
        "bedrock",
        "--model",
        "eu.anthropic.claude-x",
        "--base-url",
        address,
        "--prompt",
        "a b c",
        "--requests",
        "2",
        "--run-name",
        "it",
    ];
    let mut command = place.command(arguments);
    alone(&place, &mut command).envs(keys);
    said(command).exits(0);
    assert_eq!(place.json("summary.json")["provider"], "bedrock");
    let again = ["run", "--from", "runs/it", "--run-name", "again"];
    let mut command = place.command(again);
    // The environment names the server.
    let here = ("AWS_ENDPOINT_URL", address);
    alone(&place, &mut command).envs(keys).envs([here]);
    said(command).exits(0);
    assert_eq!(simulator.requests_served(), 4);

    // Another provider's key does not go to this one's address.
    let elsewhere = [
        "run",
        "--from",
        "runs/it",
        "--run-name",
        "elsewhere",
        "--provider",
        "foundry",
    ];
    let mut command = place.command(elsewhere);
    alone(&place, &mut command)
        .env("ANTHROPIC_FOUNDRY_API_KEY", "hunter33")
        .env_remove("ANTHROPIC_FOUNDRY_RESOURCE")
        .env_remove("ANTHROPIC_FOUNDRY_BASE_URL");
    said(command)
        .exits(2)
        .one_error(&["ANTHROPIC_FOUNDRY_RESOURCE"]);
    assert_eq!(simulator.requests_served(), 4);

    let vertex = [
        "run",
        "--endpoint",
        "anthropic-messages",
        "--provider",
        "vertex",
        "--model",
        "claude-x",
        "--region",
        "us-east5",
        "--prompt",
        "a",
    ];
    let mut command = place.command(vertex);
    alone(&place, &mut command)
        .env("ANTHROPIC_VERTEX_PROJECT_ID", "p")
        .env_remove("GOOGLE_OAUTH_ACCESS_TOKEN");
    let refused = said(command).exits(2);
    refused.one_error(&[
        "--api-key-env is required",
        "gcloud auth print-access-token",
    ]);
    // A repetition misses the token, too, and in another region has another address.
    let config = place.folder().join("run_config.json");
    let mut saved = place.json("run_config.json");
    let state = &mut saved["endpoint"]["__llmeter_state__"];
    state["provider"] = "vertex".into();
    state["region"] = "global".into();
    state["project_id"] = "p".into();
    state["base_url"] = "https://aiplatform.googleapis.com/v1/".into();
    std::fs::write(config, saved.to_string()).unwrap();
    for region in ["global", "us-east5"] {
        let arguments = [
            "run",
            "--from",
            "runs/it",
            "--run-name",
            "b",
            "--region",
            region,
        ];
        let mut command = place.command(arguments);
        alone(&place, &mut command).env_remove("GOOGLE_OAUTH_ACCESS_TOKEN");
        let refused = said(command).exits(2);
        refused.one_error(&["gcloud auth print-access-token"]);
    }
}
