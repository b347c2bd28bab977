"""The compiled core: what the Python package asks the Rust library for.

Texts are JSON where objects would cost copies. Errors are the library's own sentences, raised as
``ValueError`` (a setting or a file's content), ``FileNotFoundError``, ``FileExistsError``,
``PermissionError``, ``ConnectionError`` or ``RuntimeError``.

An *endpoint* is a JSON object with the saved form under ``saved`` and, beside it, what no file holds:

``{"saved": {"__llmeter_class__": …, "__llmeter_state__": {…}}, "api_key": …, "base_url": …,``
``"headers": {…}, "query": {…}, "max_retries": …, "region": …, "project": …, "aws": {"region": …,``
``"access_key_id": …, "secret_access_key": …, "session_token": …, "bearer_token": …, "endpoint_url": …}}``

Everything but ``saved`` may be left out.
"""

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

__all__ = [
    "Baselines",
    "Reply",
    "RunData",
    "RunHandle",
    "Simulator",
    "arrow_stream",
    "check",
    "cli",
    "compare",
    "control",
    "count",
    "data_payloads",
    "describe_data",
    "figure",
    "finish",
    "heatmap_bins",
    "invoke",
    "knee",
    "list_runs",
    "load_result",
    "merge",
    "probe",
    "report",
    "response_fields",
    "result_from_lines",
    "setting_names",
    "simulate",
    "start",
    "stats",
    "summary_text",
    "version",
]

_Hook: TypeAlias = Callable[[str], Awaitable[str]]

def version() -> str:
    """The version of the core."""

def cli(argv: Sequence[str]) -> int:
    """Runs the command line with these arguments, without the program's name; gives its exit code."""

def setting_names() -> list[str]:
    """The names of the settings that a run has, as configuration files spell them."""

def response_fields() -> list[str]:
    """The fields that a response can have, in the order of a line of ``responses.jsonl``."""

def stats(lines: Sequence[str], summary: str) -> str:
    """The statistics of these response lines as a flat JSON object, as ``stats.json`` has them.

    ``summary`` is a JSON object with the fields of ``summary.json`` that are known.
    """

def load_result(path: str, responses: bool) -> RunData:
    """Loads a run folder, here or in the cloud, with its responses or without."""

def result_from_lines(lines: Sequence[str], summary: str, stats: str = "{}") -> RunData:
    """A result made of response lines; ``stats`` are further statistics, beside those of the lines."""

def control(folder: str, request: str) -> str:
    """Asks the run in progress in a folder (``rate``, ``clients``, ``max_in_flight``, ``stop``; nothing for
    its state); gives its state as a JSON object."""

def invoke(endpoint: str, payload: str, settings: str = "{}") -> str:
    """Sends one request by the core and gives its response line. Blocks without holding the GIL."""

def probe(endpoint: str, payload: str, settings: str, frames: int) -> tuple[str, str]:
    """Sends one request; gives what was seen as a JSON object, and as text with so many frames."""

def describe_data(endpoint: str, settings: str, requests: int) -> str:
    """What the data that settings name is like: a JSON object, with the same as ``text``."""

def data_payloads(endpoint: str, settings: str, requests: int) -> list[str]:
    """The payloads of the data's first requests, each as a JSON object."""

def list_runs(
    folder: str,
    conditions: Sequence[str],
    model: str | None,
    since: str | None,
    sort: str,
    reverse: bool,
) -> str:
    """What runs and experiments a folder holds: an object with ``entries``, ``unread`` and ``text``."""

def merge(
    parts: Sequence[str], output: str, overwrite: bool, allow_missing: bool, low_memory: bool
) -> tuple[RunData, str]:
    """Merges runs that were parts of one load; gives the run, and as JSON what is said of each part."""

def count(text: str, tokenizer: str = "whitespace") -> int:
    """The tokens of a text: ``whitespace``, ``tiktoken:NAME`` or ``hf:FILE``."""

def figure(name: str, results: Sequence[RunData], arguments: str = "{}") -> str:
    """A figure as Plotly's JSON.

    - ``load_test`` (six figures by key, as one object): ``test_name``, ``log_scale``
    - ``heatmap``, ``scatter_histogram_2d``: ``dimension``, or ``x_dimension`` and ``y_dimension``;
      ``n_bins_x``, ``n_bins_y``, ``show_scatter``
    - ``histogram_by_dimension``, ``boxplot_by_dimension`` (traces): ``dimension``,
      ``filter_dimension``, ``filter_value``, ``name``
    - ``histogram``, ``ecdf``, ``percentile_curve``: ``dimension``, ``names``
    - ``timeline``, ``failures_by_kind``, ``waterfall``, ``throughput_latency_curve``: ``names``,
      ``test_name``
    """

def heatmap_bins(values: Sequence[float], bins: int) -> list[tuple[float, float]]:
    """The bins of a heatmap's axis: each from its first value up to, without, its last."""

def knee(results: Sequence[RunData]) -> int | None:
    """The number of clients from which latency grows faster than throughput, if there is one."""

def compare(base: RunData, new: Sequence[RunData], names: Sequence[str]) -> str:
    """Compares runs: an object with ``comparison``, ``text``, ``markdown``, ``conclusion``, ``tables``."""

def check(result: RunData, condition: str) -> str | None:
    """Why a result does not meet a condition like ``ttft-p99 < 500ms``; ``None`` if it does."""

def summary_text(result: RunData) -> str:
    """The summary that the command line prints of a run."""

def report(folders: Sequence[str], format: str, path: str | None) -> str:
    """Makes a report of run folders; gives its text, or the paths of the files written, one a line."""

def arrow_stream(results: Sequence[RunData], names: Sequence[str]) -> object:
    """The requests of results as a capsule ``arrow_array_stream``: a row each, the run's name first."""

_Part: TypeAlias = tuple[str, str | object, str, Sequence[str | object], str | object | None]
"""What a run is made of: settings, endpoint, payloads, callbacks, tokenizer.

``settings`` has the settings of a run by name; ``folder``, the run's own folder; and ``experiment``, what
an experiment has beside them: of a run ``each_once``, and ``take``, the folder of the experiment that it
begins; of the others what their classes say. An endpoint that is no text is a Python one, with
``identity``, ``saved`` and ``invoke``; a callback that is no text has ``name``, ``saved``,
``before_invoke`` and ``after_invoke``; a tokenizer that is no text has ``count`` and ``saved``.
"""

def start(
    kind: Literal[
        "run", "ab_test", "workloads", "capacity", "repeat", "calibrate", "spike", "cold_start", "drift"
    ],
    parts: Sequence[_Part | str],
    event_loop: AbstractEventLoop,
    begin: Callable[[list[tuple[_Hook, str, Reply]]], None],
    on_progress: Callable[[str], object] | None,
    on_done: Callable[[list[RunData] | None, str, BaseException | None], object],
) -> RunHandle:
    """Starts a run or an experiment on threads of its own and returns at once.

    A calibration has its arguments as JSON in the place of a part.

    ``begin`` starts hooks on the ``event_loop``; ``on_progress`` and ``on_done`` are called on its thread.
    """

def finish() -> None:
    """Gives up runs under way and waits for their ends, before Python ends."""

def simulate(arguments: str = "{}") -> Simulator:
    """Starts a simulated LLM server in this process."""

@final
class Baselines:
    """The baselines of the project in a folder."""

    def __new__(cls, project: str) -> Baselines: ...
    def save(self, name: str, folder: str, overwrite: bool) -> Path:
        """Keeps the run or load test of a folder; gives the baseline's own."""

    def names(self) -> list[str]:
        """The names of all, in alphabetical order."""

    def find(self, name: str) -> str:
        """The folder of one."""

    def remove(self, name: str) -> None:
        """Removes one."""

@final
class Reply:
    """Where a hook's outcome goes."""

    def give(self, text: str) -> None:
        """The hook gave this."""

    def fail(self, reason: str) -> None:
        """The hook raised something."""

@final
class RunHandle:
    """A run under way."""

    def stop(self) -> None:
        """Sends nothing more; what is in flight may finish within the grace time."""

    def abort(self) -> None:
        """Abandons what is in flight, too."""

@final
class RunData:
    """A result as the core holds it."""

    def __len__(self) -> int: ...
    def summary(self) -> str:
        """The fields of ``summary.json``."""

    def stats(self) -> str:
        """The statistics as ``stats.json`` has them."""

    def warnings(self) -> list[str]:
        """What the run or its loading found wrong, one sentence each."""

    def notes(self) -> list[str]:
        """What people should know of the figures, one sentence each."""

    def line(self, index: int) -> str:
        """A response as a line of ``responses.jsonl``."""

    def lines(self) -> list[str]:
        """All of them."""

    def column(self, name: str) -> list[Any]:
        """The values of a field or annotation, ``None`` where it is unset."""

    def update(self, summary: str, contributed: str) -> None:
        """Takes over the summary's fields, and statistics that stand above all others."""

    def save(self, path: str) -> None:
        """Writes the files of a run folder."""

@final
class Simulator:
    """A simulated LLM server."""

    def base_url(self) -> str:
        """Its address, with ``/v1``."""

    def requests_served(self) -> int:
        """How many requests it has answered."""

    def certificate(self) -> str | None:
        """Its certificate, as PEM, if it serves TLS."""

    def truth(self) -> list[str]:
        """What it truly did, a JSON object for each request."""

    def stop(self) -> None:
        """Stops it and waits until it has stopped."""
