#!/usr/bin/env python3
"""Serves S3's protocol with moto, with one bucket that is there from the start.

    s3_server.py BUCKET

Takes a free port of 127.0.0.1, prints "serving URL" once it answers, and ends when its standard
input does, so that it never outlives who started it. INITIAL_NO_AUTH_ACTION_COUNT=1 makes it refuse
all credentials once the bucket is made.
"""

import sys
import threading

import boto3
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer


class Atomic(threaded_moto_server.DomainDispatcherApplication):
    """Answers one conditional request at a time, as S3 does: moto looks first and writes then."""

    one_at_a_time = threading.Lock()

    def __call__(self, environ, start_response):
        if "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ:
            with self.one_at_a_time:
                return super().__call__(environ, start_response)
        return super().__call__(environ, start_response)


def main():
    threaded_moto_server.DomainDispatcherApplication = Atomic
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="owner",
        aws_secret_access_key="unused",
    )
    client.create_bucket(Bucket=sys.argv[1])
    print(f"serving {url}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
