"""Measures LLM endpoints: latency, throughput, errors and costs.

    from llmeter.endpoints import OpenAICompletionStreamEndpoint
    from llmeter.runner import Runner

    endpoint = OpenAICompletionStreamEndpoint("my-model", base_url="http://localhost:8000/v1")
    payload = endpoint.create_payload("Tell me a story.", max_tokens=128)
    result = await Runner(endpoint, payload=payload, clients=8, n_requests=10).run()
    result.stats["time_to_first_token-p50"]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import baselines as baselines
    from . import data as data
    from .calibration import Calibration as Calibration
    from .calibration import calibrate as calibrate
    from .capacity import Capacity as Capacity
    from .capacity import CapacityResult as CapacityResult
    from .catalog import list_runs as list_runs
    from .catalog import merge as merge
    from .comparison import Comparison as Comparison
    from .comparison import compare as compare
    from .control import RunControl as RunControl
    from .disturbances import ColdStart as ColdStart
    from .disturbances import Drift as Drift
    from .disturbances import Spike as Spike
    from .experiments import AbTest as AbTest
    from .experiments import LatencyHeatmap as LatencyHeatmap
    from .experiments import LoadTest as LoadTest
    from .experiments import LoadTestResult as LoadTestResult
    from .experiments import Workloads as Workloads
    from .experiments import WorkloadsResult as WorkloadsResult
    from .probing import probe as probe
    from .repeats import Repeat as Repeat
    from .repeats import RepeatResult as RepeatResult
    from .results import Result as Result
    from .runner import Runner as Runner
    from .simulation import simulate as simulate

# Imported when they are used, so that `import llmeter` takes no time.
_PLACES = {
    "AbTest": "experiments",
    "Calibration": "calibration",
    "Capacity": "capacity",
    "CapacityResult": "capacity",
    "ColdStart": "disturbances",
    "Comparison": "comparison",
    "Drift": "disturbances",
    "LatencyHeatmap": "experiments",
    "LoadTest": "experiments",
    "LoadTestResult": "experiments",
    "Repeat": "repeats",
    "RepeatResult": "repeats",
    "Result": "results",
    "RunControl": "control",
    "Runner": "runner",
    "Spike": "disturbances",
    "Workloads": "experiments",
    "WorkloadsResult": "experiments",
    "calibrate": "calibration",
    "compare": "comparison",
    "list_runs": "catalog",
    "merge": "catalog",
    "probe": "probing",
    "simulate": "simulation",
}
_MODULES = ("baselines", "data")

__all__ = [
    "AbTest",
    "Calibration",
    "Capacity",
    "CapacityResult",
    "ColdStart",
    "Comparison",
    "Drift",
    "LatencyHeatmap",
    "LoadTest",
    "LoadTestResult",
    "Repeat",
    "RepeatResult",
    "Result",
    "RunControl",
    "Runner",
    "Spike",
    "Workloads",
    "WorkloadsResult",
    "__version__",
    "baselines",
    "calibrate",
    "compare",
    "data",
    "list_runs",
    "merge",
    "probe",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, *_MODULES})
