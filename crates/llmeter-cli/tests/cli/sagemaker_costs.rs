//! Costs of SageMaker endpoints, at AWS's prices.

use serde_json::{Value, json};

use crate::aws_credentials::alone;
use crate::scripted::{Request, Scripted, json};
use crate::support::{Place, Said, quick, said, start};

/// SageMaker with an endpoint of these variants, and the price list.
fn aws(variants: &[(&str, &str, u32, Option<u32>)]) -> Scripted {
    let now: Vec<Value> = variants
        .iter()
        .map(|(name, _, count, _)| json!({"VariantName": name, "CurrentInstanceCount": count}))
        .collect();
    let config: Vec<Value> = variants
        .iter()
        .map(|(name, kind, _, gigabytes)| {
            json!({"VariantName": name, "InstanceType": kind, "VolumeSizeInGB": gigabytes})
        })
        .collect();
    Scripted::start(move |request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let answer = match request.header("x-amz-target").unwrap() {
            "SageMaker.DescribeEndpoint" => {
                assert_eq!(asked["EndpointName"], "mine");
                json!({"EndpointConfigName": "config", "ProductionVariants": now})
            }
            "SageMaker.DescribeEndpointConfig" => {
                assert_eq!(asked["EndpointConfigName"], "config");
                json!({"ProductionVariants": config})
            }
            "AWSPriceListService.GetProducts" => products(&asked),
            other => panic!("{other}"),
        };
        json("200 OK", &answer.to_string())
    })
}

/// What the price list has: the first page is empty, as pages may be.
fn products(asked: &Value) -> Value {
    assert_eq!(asked["ServiceCode"], "AmazonSageMaker");
    if asked.get("NextToken").is_none() {
        return json!({"PriceList": [], "NextToken": "more"});
    }
    let filter = |field: &str| {
        let filters = asked["Filters"].as_array().unwrap().iter();
        let mut values = filters.filter(|filter| filter["Field"] == field);
        values.next().and_then(|filter| filter["Value"].as_str())
    };
    assert_eq!(filter("regionCode"), Some("eu-west-1"));
    let price = match (filter("instanceName"), filter("volumeType")) {
        (Some("ml.g5.xlarge"), None) => ("hrs", "1.5"),
        (Some("ml.p4d.24xlarge"), None) => ("Hrs", "40"),
        (None, Some("General Purpose-Hosting")) => ("GB-Mo", "0.144"),
        _ => return json!({"PriceList": []}),
    };
    let product = json!({"terms": {"OnDemand": {"term": {"priceDimensions": {
        "other": {"unit": "Quantity", "pricePerUnit": {"USD": "9"}},
        "this": {"unit": price.0, "pricePerUnit": {"USD": price.1}},
    }}}}});
    json!({"PriceList": [product.to_string()]})
}

/// The binary with this AWS.
fn llmeter(place: &Place, server: &Scripted, arguments: &[&str]) -> Said {
    let root = server.url.trim_end_matches("/v1");
    let mut command = place.command(arguments.iter().copied());
    alone(place, &mut command)
        .env("AWS_ACCESS_KEY_ID", "AKID")
        .env("AWS_SECRET_ACCESS_KEY", "hunter22")
        .env("AWS_ENDPOINT_URL_PRICING", root)
        .env("AWS_ENDPOINT_URL_SAGEMAKER", root);
    said(command)
}

const NEW: [&str; 7] = [
    "callbacks",
    "new",
    "CostModel",
    "--sagemaker-endpoint",
    "mine",
    "--region",
    "eu-west-1",
];

fn dims(said: &Said) -> Value {
    said.object()["__llmeter_state__"]["run_dims"].clone()
}

#[test]
fn an_endpoint_is_taken_to_pieces_and_priced() {
    let (place, server) = (Place::new(), aws(&[("all", "ml.g5.xlarge", 2, Some(50))]));
    let said = llmeter(&place, &server, &NEW).exits(0);
    let dims = dims(&said);
    let compute = &dims["SageMakerRTEndpointCompute"]["__llmeter_state__"];
    assert_eq!(
        *compute,
        json!({"instance_type": "ml.g5.xlarge", "instance_count": 2.0, "price_per_hour": 1.5,
            "region": "eu-west-1"})
    );
    let storage = &dims["SageMakerRTEndpointStorage"]["__llmeter_state__"];
    assert_eq!(storage["gbs_provisioned"], 100.0);
    let price = storage["price_per_gb_hour"].as_f64().unwrap();
    assert!((price - 0.144 / 720.0).abs() < 1e-12, "{price}");
    // Requests are signed for the service that they go to, and prices asked for where they are.
    for request in server.requests() {
        let line = request.header("authorization").unwrap();
        let is_price = request.header("x-amz-target").unwrap().contains("Price");
        let scope = if is_price {
            "/us-east-1/pricing/aws4_request"
        } else {
            "/eu-west-1/sagemaker/aws4_request"
        };
        assert!(
            line.contains(scope) && line.contains("x-amz-target"),
            "{line}"
        );
    }

    // What was written is what a run takes.
    place.file("cost.json", &said.out);
    let simulator = start(quick());
    let run = place.run(
        &simulator.base_url(),
        &["--callback", "cost.json", "--requests", "2"],
    );
    run.exits(0);
    let stats = place.stats();
    let seconds = place.json("summary.json")["total_test_time"]
        .as_f64()
        .unwrap()
        .ceil();
    let cost = stats["cost_SageMakerRTEndpointCompute"].as_f64().unwrap();
    assert!((cost - seconds * 2.0 * 1.5 / 3600.0).abs() < 1e-9, "{cost}");
}

#[test]
fn variants_are_priced_one_by_one() {
    let server = aws(&[
        ("big", "ml.p4d.24xlarge", 1, None),
        ("small", "ml.g5.xlarge", 3, Some(10)),
    ]);
    let dims = dims(&llmeter(&Place::new(), &server, &NEW).exits(0));
    let names: Vec<_> = dims.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "big_SageMakerRTEndpointCompute",
            "small_SageMakerRTEndpointCompute",
            "small_SageMakerRTEndpointStorage"
        ]
    );
    let storage = &dims["small_SageMakerRTEndpointStorage"]["__llmeter_state__"];
    assert_eq!(storage["gbs_provisioned"], 30.0);
}

#[test]
fn a_price_that_is_left_out_is_looked_up() {
    let (place, server) = (Place::new(), aws(&[]));
    let model = |kind: &str| {
        json!({"__llmeter_class__": "llmeter.callbacks.cost.model.CostModel", "__llmeter_state__": {
            "request_dims": {}, "run_dims": {"compute": {
                "__llmeter_class__":
                    "llmeter.callbacks.cost.providers.sagemaker.SageMakerRTEndpointCompute",
                "__llmeter_state__": {"instance_type": kind, "instance_count": 1,
                    "price_per_hour": null, "region": "eu-west-1"}}}}})
        .to_string()
    };
    place
        .run(&start(quick()).base_url(), &["--requests", "1"])
        .exits(0);
    place.file("cost.json", model("ml.g5.xlarge"));
    let arguments = ["cost", "runs/it", "--model", "cost.json", "--json"];
    let said = llmeter(&place, &server, &arguments).exits(0);
    assert!(
        said.object()["cost_compute"].as_f64().unwrap() > 0.0,
        "{said:?}"
    );

    place.file("cost.json", model("ml.unknown"));
    let said = llmeter(&place, &server, &arguments);
    assert!(said.code > 0, "{said:?}");
    said.one_error(&["instanceName ml.unknown", "give the price itself"]);
}

#[test]
fn refusals_are_told_without_secrets_and_with_the_permission_that_is_missing() {
    let server = Scripted::start(|request: &Request| {
        // A gateway may repeat what it got.
        let line = request.header("authorization").unwrap();
        let message = format!("not allowed: hunter22, {line}");
        let body = json!({"__type": "AccessDeniedException", "message": message});
        json("400 Bad Request", &body.to_string())
    });
    let said = llmeter(&Place::new(), &server, &NEW).exits(1);
    said.one_error(&[
        "asking SageMaker (DescribeEndpoint)",
        "AccessDeniedException: not allowed: <redacted>, AWS4-HMAC-SHA256",
        "the policy needs sagemaker:DescribeEndpoint)",
    ]);
    let requests = server.requests();
    let line = requests[0].header("authorization").unwrap();
    let (_, signature) = line.split_once("Signature=").unwrap();
    for secret in ["hunter22", signature] {
        assert!(!said.err.contains(secret), "{secret}: {said:?}");
    }
}
