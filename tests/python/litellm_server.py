#!/usr/bin/env python3
"""Serves the LiteLLM proxy with models that answer by themselves.

    litellm_server.py KEY

Models are "mock" (a text), "tool" (a call), "embed" (a vector), "limited" and "broken" (failures).
Takes a free port of 127.0.0.1, prints "serving BASE_URL" once it answers, and ends when its
standard input does, so that it never outlives who started it.
"""

import os
import socket
import sys
import tempfile
import threading
import time

# What it would fetch or tell elsewhere.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_TELEMETRY"] = "False"
os.environ["NO_PROXY"] = "*"

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"query": "the river"}'},
}


def model(name, **answer):
    return {
        "model_name": name,
        "litellm_params": {"model": f"openai/{name}", "api_key": "unused", **answer},
    }


CONFIG = {
    "model_list": [
        model("mock", mock_response="one two three four"),
        model("tool", mock_response="", mock_tool_calls=[CALL]),
        model("embed", mock_response=[0.5, 0.25]),
        model("limited", mock_response="litellm.RateLimitError"),
        model("broken", mock_response="litellm.InternalServerError"),
    ],
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
}


def main():
    # Standard output is for one line; what the proxy prints goes with its log.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder = tempfile.TemporaryDirectory()
    config = os.path.join(folder.name, "config.yaml")
    CONFIG["general_settings"] = {"master_key": sys.argv[1]}
    import yaml

    with open(config, "w", encoding="utf-8") as file:
        yaml.safe_dump(CONFIG, file)
    os.environ["CONFIG_FILE_PATH"] = config

    import uvicorn
    from litellm.proxy.proxy_server import app

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = "http://127.0.0.1:%d" % listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def watch():
        while not server.started:
            time.sleep(0.05)
        print(f"serving {address}", file=told, flush=True)
        sys.stdin.read()
        folder.cleanup()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
