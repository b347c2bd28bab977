#!/usr/bin/env python3
"""Looks into a bucket with Amazon's own client.

    s3_objects.py URL BUCKET PREFIX FOLDER [AWAITED]

Waits until there is an object AWAITED, if one is named. Copies all objects under PREFIX to FOLDER
and prints their keys below PREFIX, one a line.
"""

import sys
import time
from pathlib import Path

import boto3


def main():
    url, bucket, prefix, folder = sys.argv[1:5]
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="owner",
        aws_secret_access_key="unused",
    )
    for awaited in sys.argv[5:]:
        deadline = time.monotonic() + 60
        while not client.list_objects_v2(Bucket=bucket, Prefix=awaited)["KeyCount"]:
            if time.monotonic() > deadline:
                sys.exit(f"waited in vain for {awaited}")
            time.sleep(0.1)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for found in page.get("Contents", []):
            name = found["Key"].removeprefix(prefix).lstrip("/")
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, found["Key"], str(path))
            print(name)


if __name__ == "__main__":
    main()
