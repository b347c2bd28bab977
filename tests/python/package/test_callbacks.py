"""Costs and MLflow as callbacks of runs, and which callbacks the core runs itself."""

import json
from dataclasses import dataclass

import mlflow
import pytest

from llmeter.callbacks import CacheBuster, Callback, CostModel, MlflowCallback
from llmeter.callbacks._native import form_of
from llmeter.callbacks.base import load_callback
from llmeter.callbacks.cost import CalculatedCostWithDimensions
from llmeter.callbacks.cost.dimensions import (
    CachedInputTokens,
    EndpointTime,
    InputTokens,
    OutputTokens,
    PerRequest,
    RequestCostDimensionBase,
)
from llmeter.endpoints import InvocationResponse
from llmeter.runner import Runner
from llmeter.serialization import dump_object, load_object


@dataclass
class Characters(RequestCostDimensionBase):
    price: float

    async def calculate(self, response):
        return None if response.response_text is None else len(response.response_text) * self.price


def model():
    return CostModel([InputTokens(3.0), OutputTokens(15.0), PerRequest(0.001)], [EndpointTime(7.2)])


class Watched(CostModel):
    """The same in Python's hands."""


@pytest.mark.parametrize("low_memory", [False, True])
def test_costs_are_the_same_in_the_core_and_in_python(endpoint, payload, wait, tmp_path, low_memory):
    def costs(callback):
        runner = Runner(endpoint, payload=payload, clients=2, callbacks=[callback])
        folder = tmp_path / type(callback).__name__
        result = wait(runner.run(n_requests=5, output_path=folder, low_memory=low_memory))
        # Only the core says how many values there are beside them.
        counts = ("-count", "-beyond")
        return {
            key: value
            for key, value in result.stats.items()
            if key.startswith("cost_") and not key.endswith(counts)
        }

    by_core, by_python = costs(model()), costs(Watched(dump_parts(model())[0], dump_parts(model())[1]))
    assert form_of(Watched()) is None
    assert by_core.keys() == by_python.keys()
    same = [key for key in by_core if "EndpointTime" not in key and "total" not in key]
    assert same and {key: by_core[key] for key in same} == pytest.approx(
        {key: by_python[key] for key in same}
    )
    assert by_core["cost_PerRequest"] == pytest.approx(0.01)


def dump_parts(cost_model):
    return cost_model.request_dims, cost_model.run_dims


def test_what_is_unknown_voids_nothing_else(wait):
    costs = CostModel([InputTokens(1.0), Characters(0.5)])
    responses = [
        InvocationResponse("four", num_tokens_input=1_000_000),
        InvocationResponse(None, error="it failed"),
    ]

    class Done:
        total_test_time = None

        def _update_contributed_stats(self, stats):
            self.stats = stats

    done = Done()
    done.responses = responses
    cost = wait(costs.calculate_run_cost(done, save=True))
    assert cost == {"InputTokens": 1.0, "Characters": 2.0}
    assert done.cost_total == done.stats["cost_total"] == 3.0
    assert done.stats["cost_unknown_requests"] == 1
    assert responses[1].annotations == {}
    assert CalculatedCostWithDimensions(known=1, unknown=None).total is None


def test_cached_tokens_have_a_price_of_their_own(wait):
    costs = CostModel([InputTokens(3.0), CachedInputTokens(0.3), OutputTokens(15.0)])
    response = InvocationResponse(
        "", num_tokens_input=1_000_000, num_tokens_input_cached=600_000, num_tokens_output=100_000
    )
    cost = wait(costs.calculate_request_cost(response))
    assert cost == pytest.approx({"InputTokens": 1.2, "CachedInputTokens": 0.18, "OutputTokens": 1.5})
    assert response.num_tokens_input == 1_000_000


def test_the_core_has_only_what_is_untouched():
    assert form_of(model()) == dump_object(model())
    assert form_of(CacheBuster(7)) is not None
    assert form_of(CostModel([Characters(1.0)])) is None
    patched = model()
    patched.after_invoke = None
    assert form_of(patched) is None

    class Mine(Callback):
        pass

    assert form_of(Mine()) is None


def test_the_cache_buster_changes_every_prompt(endpoint, payload, wait):
    runner = Runner(endpoint, payload=payload, clients=2, callbacks=[CacheBuster(7)])
    result = wait(runner.run(n_requests=4))
    prompts = {response.input_prompt for response in result.responses}
    assert len(prompts) == 8
    assert all(prompt.endswith("Tell me a story.") for prompt in prompts)


def test_cost_models_of_former_versions_are_loaded(tmp_path):
    former = {
        "_type": "CostModel",
        "request_dims": {"in": {"_type": "InputTokens", "price_per_million": 3.0, "granularity": 1}},
        "run_dims": {
            "gpu": {
                "_type": "SageMakerRTEndpointCompute",
                "instance_type": "ml.g5.4xlarge",
                "instance_count": 1,
                "price_per_hour": 2.0,
                "region": "us-east-1",
            }
        },
    }
    file = tmp_path / "model.json"
    file.write_text(json.dumps(former))
    loaded = Callback.load_from_file(file)
    assert loaded.request_dims == {"in": InputTokens(3.0)}
    assert repr(loaded).startswith("CostModel(request_dims={'in': InputTokens(price_per_million=3.0,")
    assert loaded.run_dims["gpu"].price_per_hour == 2.0
    assert load_object(dump_object(loaded)).request_dims == loaded.request_dims
    with pytest.raises(ValueError, match="no_dimension"):
        load_callback({"request_dims": {"x": {"_type": "no_dimension"}}})
    with pytest.raises(ValueError, match="__llmeter_class__"):
        load_callback({"name": "x"})


def test_runs_are_logged_in_mlflow(endpoint, payload, wait, tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    with mlflow.start_run() as parent:
        runner = Runner(endpoint, payload=payload, callbacks=[MlflowCallback(nested=True)])
        wait(runner.run(n_requests=4, run_name="logged"))
    client = mlflow.MlflowClient()
    runs = client.search_runs([parent.info.experiment_id])
    (logged,) = [run for run in runs if run.info.run_name == "logged"]
    assert logged.data.params["total_requests"] == "4"
    assert logged.data.metrics["failed_requests"] == 0
    assert logged.data.metrics["time_to_first_token-p50"] > 0
