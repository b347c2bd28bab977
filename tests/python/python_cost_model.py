#!/usr/bin/env python3
"""Loads a cost model that llmeter saved, with the Python llmeter 0.2.0, applies it to a run folder,
and saves a model of its own.

    python_cost_model.py MODEL.json FOLDER OWN_MODEL.json

Prints the costs that either model gives the run, as JSON.
"""

import asyncio
import json
import sys

from llmeter.callbacks.base import Callback
from llmeter.callbacks.cost import CostModel
from llmeter.callbacks.cost.dimensions import EndpointTime, InputTokens, OutputTokens
from llmeter.callbacks.cost.providers.sagemaker import (
    SageMakerRTEndpointCompute,
    SageMakerRTEndpointStorage,
)
from llmeter.results import Result


def costs(model, folder):
    result = Result.load(folder)
    requests = [
        dict(asyncio.run(model.calculate_request_cost(response)))
        for response in result.responses
    ]
    asyncio.run(model.calculate_run_cost(result, save=True))
    stats = {key: value for key, value in result.stats.items() if key.startswith("cost_")}
    return {"requests": requests, "stats": stats}


def main():
    path, folder, own_path = sys.argv[1:]
    ours = Callback.load_from_file(path)
    assert type(ours) is CostModel, type(ours)
    own = CostModel(
        request_dims={"in": InputTokens(0.25), "out": OutputTokens(1.25, granularity=7)},
        run_dims=[
            EndpointTime(12.5, granularity_secs=0.5),
            SageMakerRTEndpointCompute("ml.g5.4xlarge", 2, 2.03, "eu-west-1"),
            SageMakerRTEndpointStorage(500, 0.0002, "eu-west-1"),
        ],
    )
    own.save_to_file(own_path)
    print(json.dumps({"ours": costs(ours, folder), "own": costs(own, folder)}))


if __name__ == "__main__":
    main()
