#!/usr/bin/env python3
"""Does with MLflow's own client what a line of standard input asks for, and prints the answer as a
line of JSON.

    mlflow_client.py URL

    ["runs", EXPERIMENT]                    all runs of an experiment, the oldest first
    ["run", RUN_ID]                         one run, with its metrics' history and artifacts
    ["create", EXPERIMENT, RUN_NAME]        a run that is under way; its id
    ["create_experiment", NAME, ARTIFACT_LOCATION]
    ["delete_run", RUN_ID]
    ["delete_experiment", EXPERIMENT]
    ["log_with_python", FOLDER, CALLBACK]   the run that the Python llmeter 0.2.0 makes of a run
                                            folder with the callback of a file
"""

import asyncio
import base64
import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient


def artifacts(client, run_id, path=None):
    found = {}
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            found |= artifacts(client, run_id, entry.path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(client.download_artifacts(run_id, entry.path, folder))
                found[entry.path] = base64.b64encode(file.read_bytes()).decode()
    return found


def described(client, run):
    info, data = run.info, run.data
    return {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "experiment_id": info.experiment_id,
        "status": info.status,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "user": info.user_id,
        "params": dict(data.params),
        "metrics": {
            key: [[one.value, one.step, one.timestamp] for one in client.get_metric_history(info.run_id, key)]
            for key in data.metrics
        },
        "tags": dict(data.tags),
        "artifacts": {} if info.artifact_uri.startswith("s3:") else artifacts(client, info.run_id),
    }


def experiment_id(client, name):
    experiment = client.get_experiment_by_name(name)
    return experiment.experiment_id if experiment else client.create_experiment(name)


def log_with_python(client, folder, callback):
    from llmeter.callbacks import MlflowCallback
    from llmeter.results import Result

    loaded = MlflowCallback.load_from_file(Path(callback))
    result = Result.load(Path(folder))
    with mlflow.start_run() as run:
        asyncio.run(loaded.after_run(result))
        mlflow.flush_async_logging()
    again = Path(folder).parent / "by_python.json"
    loaded.save_to_file(again)
    children = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    logged = children[0] if children else client.get_run(run.info.run_id)
    return {"step": loaded.step, "nested": loaded.nested, "saved": str(again)} | described(client, logged)


def main():
    url = sys.argv[1]
    mlflow.set_tracking_uri(url)
    client = MlflowClient(url)

    def answer(what, *arguments):
        if what == "runs":
            runs = client.search_runs([experiment_id(client, *arguments)], order_by=["start_time"])
            return [described(client, run) for run in runs]
        if what == "run":
            return described(client, client.get_run(*arguments))
        if what == "create":
            name, run_name = arguments
            return client.create_run(experiment_id(client, name), run_name=run_name).info.run_id
        if what == "create_experiment":
            return client.create_experiment(*arguments)
        if what == "delete_run":
            return client.delete_run(*arguments)
        if what == "delete_experiment":
            return client.delete_experiment(experiment_id(client, *arguments))
        if what == "log_with_python":
            return log_with_python(client, *arguments)
        raise ValueError(what)

    for line in sys.stdin:
        # What the client prints itself goes elsewhere.
        print("answer " + json.dumps(answer(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
