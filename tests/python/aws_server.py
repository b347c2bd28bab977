#!/usr/bin/env python3
"""Serves Bedrock's InvokeModel, and SageMaker with an endpoint `priced`, with moto.

    aws_server.py

Its answers have the shape of chat completions and of a text generation container. Takes a free
port of 127.0.0.1, prints "serving URL" once it answers, and ends when its standard input does.
"""

import json
import sys
import urllib.request

import boto3
from moto.bedrockruntime.models import BedrockRuntimeBackend
from moto.server import ThreadedMotoServer

CHAT = {
    "id": "chat-1",
    "choices": [{"message": {"content": "five words from the model"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5},
}
TEXT = {"generated_text": "three more words", "details": {"generated_tokens": 3}}


def post(url, data):
    request = urllib.request.Request(url, json.dumps(data).encode(), {"Content-Type": "application/json"})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()


def main():
    # moto itself answers every request with an empty object.
    BedrockRuntimeBackend.invoke_model = lambda *_, **__: CHAT
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    answers = [{"Body": json.dumps(TEXT), "ContentType": "application/json"}] * 9
    post(
        f"{url}/moto-api/static/sagemaker/endpoint-results",
        {"account_id": "123456789012", "region": "us-east-1", "results": answers},
    )
    sagemaker = boto3.client(
        "sagemaker", endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    role = "arn:aws:iam::123456789012:role/reader"
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
    variant = {"VariantName": "all", "ModelName": "m", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="priced", EndpointConfigName="c")
    print(f"serving {url}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
