#!/usr/bin/env python3
"""Serves a GGUF file with llama.cpp's own HTTP server.

    llm_server.py FILE [generates|embeds]

Takes a free port of 127.0.0.1, prints "serving BASE_URL" once it answers, and ends when its
standard input does, so that it never outlives who started it.
"""

import socket
import sys

import xllamacpp


def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = 8192
    parameters.n_parallel = 4
    # One thread, so that on two cores HTTP and the client do not wait for the model.
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    if sys.argv[2:] == ["embeds"]:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(f"serving {server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
