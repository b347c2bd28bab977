#!/usr/bin/env python3
"""Serves MLflow's own tracking server until standard input ends.

    mlflow_server.py FOLDER

Keeps everything in FOLDER; artifacts go through the server's proxy. Prints "serving URL" when the
server answers.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PATIENCE = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    folder = Path(sys.argv[1])
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    # Its other way to serve needs more packages.
    command += ["--gunicorn-opts", "--no-control-socket --threads 2"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "HOME": str(folder)}
    server = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )

    def stop():
        try:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(10)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)

    def stop_at_end_of_input():
        sys.stdin.read()
        stop()
        os._exit(0)

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            opener.open(f"{url}/health", timeout=5).close()
            break
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                stop()
                sys.exit("the MLflow server does not start")
            time.sleep(0.1)
    print(f"serving {url}", flush=True)
    server.wait()


if __name__ == "__main__":
    main()
