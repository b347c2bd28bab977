"""Several runs that answer one question."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._table import RequestTable
from ._work import carry_out
from .plotting import plot_heatmap, plot_load_test_results
from .prompt_utils import CreatePromptCollection
from .results import Result
from .runner import Runner, experiment_part, experiment_run, with_experiment
from .utils import ensure_path

if TYPE_CHECKING:
    from ._core import RunData
    from .utils import AnyPath

__all__ = [
    "AbTest",
    "AbTestResult",
    "LatencyHeatmap",
    "LoadTest",
    "LoadTestResult",
    "Workloads",
    "WorkloadsResult",
]

logger = logging.getLogger(__name__)

_MAX_TICKS = 10


def _default_name() -> str:
    return f"{datetime.now():%Y%m%d-%H%M}"


def _level_name(clients: int) -> str:
    """The folder of a level."""
    return f"{clients:05d}-clients"


@dataclass
class LoadTestResult(RequestTable):
    """The outcome of a load test: a result for each number of clients.

    Attributes:
        results: the results by their number of clients.
        test_name: the test's name, which is also its folder's.
        output_path: the folder in which each level has its own; `None` if nothing was written.
    """

    results: dict[int, Result]
    test_name: str
    output_path: AnyPath | None = None

    def plot_results(self, show: bool = True, format: Literal["html", "png"] = "html") -> dict[str, Any]:
        """Draws six charts, writes them into the test's folder if there is one, and gives them by name.

        Args:
            show: whether to show them.
            format: how they are written.
        """
        from plotly.colors import qualitative

        figures: dict[str, Any] = plot_load_test_results(self)
        # A colour for each chart, which can be seen on light and dark.
        colors: list[str] = list(qualitative.Plotly)
        for at, figure in enumerate(figures.values()):
            figure.update_layout(colorway=[*colors[at:], *colors[:at]])
        levels = sorted(self.results)
        if len(levels) <= _MAX_TICKS:
            # Where something was measured, instead of Plotly's own, which lie over each other.
            for figure in figures.values():
                figure.update_xaxes(tickvals=levels, ticktext=[f"{level:,}" for level in levels])
        if (error_rate := figures.get("error_rate")) is not None:
            error_rate.update_yaxes(rangemode="tozero")
        folder = ensure_path(self.output_path)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in figures.items():
                _write(figure, folder / f"{name}.{format}")
        if show:
            for figure in figures.values():
                figure.show()
        return figures

    def _runs(self) -> dict[str, RunData]:
        return {
            _level_name(clients): result._core_data()  # pyright: ignore[reportPrivateUsage]
            for clients, result in self.results.items()
        }

    def knee(self) -> int | None:
        """The number of clients beyond which latency grows faster than throughput, if there is one."""
        from . import _core

        return _core.knee(list(self._runs().values()))

    def report(self, path: AnyPath | None = None, format: str = "html") -> str:
        """Makes a report with charts of the test, which must have a folder; see `Result.report`."""
        from . import _core

        if self.output_path is None:
            raise ValueError("a report needs the test's folder: give output_path")
        return _core.report([str(self.output_path)], format, None if path is None else str(path))

    @classmethod
    def load(
        cls,
        load_path: AnyPath | None,
        test_name: str | None = None,
        load_responses: bool = True,
    ) -> LoadTestResult:
        """Loads a load test: every folder in `load_path` that holds a run.

        Args:
            load_path: the test's folder.
            test_name: by default the folder's name.
            load_responses: without them, only summaries and statistics are read.

        Raises:
            FileNotFoundError: if there is no such folder.
            ValueError: if no folder in it holds a run.
        """
        if not load_path:
            raise FileNotFoundError("Load path cannot be None or empty")
        folder = load_path if isinstance(load_path, Path) else ensure_path(load_path)
        if not folder.exists():
            raise FileNotFoundError(f"Load path {folder} does not exist")
        results = [
            Result.load(level, load_responses=load_responses)
            for level in folder.iterdir()
            if level.is_dir()
        ]
        if not results:
            raise ValueError(f"No results found in {folder}")
        by_clients = {result.clients: result for result in results}
        return LoadTestResult(
            results={clients: by_clients[clients] for clients in sorted(by_clients)},
            test_name=test_name or folder.name,
            output_path=folder,
        )

    def _repr_html_(self) -> str:
        from ._html import load_test_table

        return load_test_table(self)


def _write(figure: Any, file: Path) -> None:
    """Writes a figure as a page or an image."""
    if file.suffix == ".html":
        figure.write_html(file)
        return
    try:
        figure.write_image(file)
    except (ImportError, RuntimeError, ValueError) as error:
        page = file.with_suffix(".html")
        reason = str(error).strip().partition("\n")[0]
        logger.warning("images need kaleido and its browser; %s instead (%s)", page, reason)
        figure.write_html(page)


@dataclass
class LoadTest:
    """A run at each of several numbers of clients.

    Attributes:
        endpoint: where to send.
        payload: what to send.
        sequence_of_clients: the numbers of clients.
        min_requests_per_client: requests that each client sends at least.
        min_requests_per_run: requests that all clients of a run send together at least.
        run_duration: seconds, or a timedelta, for which each run sends, instead of a number of requests.
        low_memory: keep no responses in memory; needs `output_path`.
        progress_bar_stats: what to show of a run under way, as for `Runner`.
        output_path: the folder in which the test's own is made; nothing is written without it.
        tokenizer: counts tokens where the server reports none.
        test_name: by default the local time.
        callbacks: what is called before and after runs and requests.
        settings: any other setting of the runs, as for `Runner`.
        overwrite: whether the test replaces what an earlier one left in its folder, all levels of it;
            otherwise it raises `FileExistsError`. Other files are never touched.
    """

    endpoint: Any
    payload: dict[str, Any] | list[dict[str, Any]]
    sequence_of_clients: list[int]
    min_requests_per_client: int = 1
    min_requests_per_run: int = 10
    run_duration: int | float | timedelta | None = None
    low_memory: bool = False
    progress_bar_stats: dict[str, Any] | None = None
    output_path: AnyPath | None = None
    tokenizer: Any = None
    test_name: str | None = None
    callbacks: list[Any] | None = None
    settings: dict[str, Any] | None = None
    overwrite: bool = True

    def __post_init__(self) -> None:
        self._test_name = self.test_name or _default_name()

    def _get_n_requests(self, clients: int) -> int:
        if clients * self.min_requests_per_client < self.min_requests_per_run:
            return ceil(self.min_requests_per_run / clients)
        return int(self.min_requests_per_client)

    async def run(self, output_path: AnyPath | None = None) -> LoadTestResult:
        """Carries the test out, from level to level. Ctrl-C ends it: what was measured is kept.

        Args:
            output_path: the folder in which the test's own is made, by default the test's
                `output_path`. Each level has a folder in that, like `00008-clients`.

        Raises:
            ValueError: if a setting cannot be used.
            FileExistsError: if the test's folder is in use, or holds a run or a test and `overwrite` is
                false.
        """
        folder = ensure_path(output_path or self.output_path)
        if folder is not None:
            folder = folder / self._test_name
        runner = Runner(
            endpoint=self.endpoint,
            tokenizer=self.tokenizer,
            output_path=folder,
            settings=self.settings,
            overwrite=self.overwrite,
        )
        self._results: list[Result] = []
        runner._begins = folder  # pyright: ignore[reportPrivateUsage]
        for clients in self.sequence_of_clients:
            amount: dict[str, Any] = {"run_duration": self.run_duration}
            if self.run_duration is None:
                amount = {"n_requests": self._get_n_requests(clients)}
            result = await runner.run(
                payload=self.payload,
                clients=clients,
                run_name=_level_name(clients),
                callbacks=self.callbacks,
                low_memory=self.low_memory,
                progress_bar_stats=self.progress_bar_stats,
                **amount,
            )
            runner._begins = None  # pyright: ignore[reportPrivateUsage]
            self._results.append(result)
            if result.stats.get("interrupted") is True:
                break
        return LoadTestResult(
            results={result.clients: result for result in self._results},
            test_name=self._test_name,
            output_path=folder,
        )


@dataclass
class LatencyHeatmap:
    """Latency by the lengths of prompt and output: every combination of some of each.

    Attributes:
        endpoint: where to send.
        source_file: a text file from which prompts are taken.
        clients: how many requests are in flight at a time.
        output_path: the run's folder; nothing is written without it.
        input_lengths: tokens of the prompts, by the tokenizer.
        output_lengths: the most tokens of the outputs.
        requests_per_combination: requests for each combination.
        create_payload_fn: makes a payload of a text; by default the endpoint's `create_payload`.
        create_payload_kwargs: further arguments of it.
        tokenizer: counts the tokens of prompts, and of responses where the server reports none.
    """

    endpoint: Any
    source_file: AnyPath
    clients: int = 4
    output_path: AnyPath | None = None
    input_lengths: list[int] = field(default_factory=lambda: [10, 50, 200, 500])
    output_lengths: list[int] = field(default_factory=lambda: [128, 256, 512, 1024])
    requests_per_combination: int = 1
    create_payload_fn: Callable[..., Any] | None = None
    create_payload_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    tokenizer: Any = None

    def __post_init__(self) -> None:
        prompts = CreatePromptCollection(
            requests_per_combination=self.requests_per_combination,
            input_lengths=self.input_lengths,
            output_lengths=self.output_lengths,
            source_file=ensure_path(self.source_file),
            tokenizer=self.tokenizer,
        )
        self.create_payload_fn = self.create_payload_fn or self.endpoint.create_payload
        create = self.create_payload_fn
        assert create is not None
        self.payload = [
            create(text, max_tokens=length, **self.create_payload_kwargs)
            for text, length in prompts.create_collection()
        ]
        self._runner = Runner(
            endpoint=self.endpoint,
            output_path=ensure_path(self.output_path),
            tokenizer=self.tokenizer,
        )
        # All clients together, whatever their number.
        self._runner._sends_each_once = True  # pyright: ignore[reportPrivateUsage]
        self._results: Result | None = None

    async def run(self, output_path: AnyPath | None = None) -> Result:
        """Sends each combination, all clients together, and gives the result.

        Args:
            output_path: the run's own folder, by default that of the heatmap.
        """
        folder = ensure_path(output_path or self.output_path)
        self._results = await self._runner.run(
            payload=self.payload,
            clients=min(self.clients, len(self.payload)),
            n_requests=ceil(len(self.payload) / self.clients),
            output_path=folder,
        )
        return self._results

    def plot_heatmaps(
        self, n_bins_x: int | None, n_bins_y: int | None, show: bool = True
    ) -> tuple[Any, Any]:
        """Draws TTFT and TTLT by the numbers of input and output tokens.

        Raises:
            ValueError: if it has not run yet.
        """
        if not self._results:
            raise ValueError("No results to plot")
        first, last = (
            plot_heatmap(self._results, dimension, n_bins_x=n_bins_x, n_bins_y=n_bins_y, show_scatter=True)
            for dimension in ("time_to_first_token", "time_to_last_token")
        )
        if show:
            first.show()
            last.show()
        return first, last


@dataclass(repr=False)
class AbTestResult:
    """The outcome of a test by blocks.

    Attributes:
        comparisons: each variant against the first one: the means, the difference as a share, the
            interval that holds at every look, and the answer.
        blocks: the runs in their order.
        text: the test as the command line prints it.
        output_path: the test's folder.
        warnings: what was found wrong.
    """

    comparisons: list[dict[str, Any]]
    blocks: list[Result]
    text: str
    output_path: str | None
    warnings: list[str]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"AbTestResult(comparisons={self.comparisons!r}, blocks={len(self.blocks)})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


@dataclass
class AbTest:
    """Two or more variants, compared by alternating runs until the answer is known.

    A round has one run (a block) of each variant, in an order drawn anew, so that a drift of machine,
    network or provider is in all of them alike. Looking while it goes on is accounted for.

    Attributes:
        variants: runners by name; the first one is what the others are compared with. Each has its
            payload, and the requests of a block in `n_requests` or `run_duration`.
        metric: the figure of a block that decides, like `ttft-p50` or `output_tps`.
        alpha: the probability of error.
        margin: a difference that does not matter, as a share.
        max_rounds: rounds after which the test ends without an answer.
        max_duration: seconds after which it does.
        max_requests: requests after which it does.
        seed: decides the order of the blocks.
        output_path: the folder in which the test's own is made; nothing is written without it.
        test_name: by default the local time.
    """

    variants: dict[str, Runner]
    metric: str = "ttft-p50"
    alpha: float = 0.05
    margin: float = 0.05
    max_rounds: int = 200
    max_duration: float | None = None
    max_requests: int | None = None
    seed: int = 0
    output_path: AnyPath | None = None
    test_name: str | None = None

    async def run(self) -> AbTestResult:
        """Carries the test out. Hooks before and after runs are not called.

        Raises:
            ValueError: if a setting cannot be used.
        """
        loop = asyncio.get_running_loop()
        experiment = {
            "names": list(self.variants),
            "metric": self.metric,
            "alpha": self.alpha,
            "margin": self.margin,
            "max_rounds": self.max_rounds,
            "max_duration": self.max_duration,
            "max_requests": self.max_requests,
            "seed": self.seed,
            "output_path": None if self.output_path is None else str(self.output_path),
            "test_name": self.test_name,
        }
        # The first one carries it.
        parts = [
            experiment_part(runner, loop, None if at else experiment)
            for at, runner in enumerate(self.variants.values())
        ]
        data, more = await carry_out("ab_test", parts, None, None)
        blocks = [Result._of_data(one) for one in data]  # pyright: ignore[reportPrivateUsage]
        for warning in more["warnings"]:
            logger.warning("%s", warning)
        return AbTestResult(
            comparisons=more["comparisons"],
            blocks=blocks,
            text=more["text"],
            output_path=more["output_path"],
            warnings=more["warnings"],
        )


@dataclass
class WorkloadsResult:
    """What `Workloads` measured.

    Attributes:
        whole: all classes as one run; `stats["workloads"]` has the figures of each.
        classes: the result of each class by its name.
        alone: the result of each class as it was alone, if that was measured.
    """

    whole: Result
    classes: dict[str, Result]
    alone: dict[str, Result] = field(default_factory=dict[str, Result])

    @classmethod
    def load(cls, path: AnyPath) -> WorkloadsResult:
        """Reads the results of classes from the folder of the whole.

        Raises:
            ValueError: if it is not the folder of several workloads.
        """
        folder = ensure_path(path)
        whole = Result.load(folder)
        names = [one["workload"] for one in whole.stats.get("workloads") or []]
        if not names:
            raise ValueError(f"{path} is not the folder of several workloads")
        alone = [name for name in names if (folder / "alone" / name).is_dir()]
        return cls(
            whole,
            {name: Result.load(folder / name) for name in names},
            {name: Result.load(folder / "alone" / name) for name in alone},
        )

    def __getitem__(self, name: str) -> Result:
        return self.classes[name]

    def __str__(self) -> str:
        return str(self.whole)


@dataclass
class Workloads:
    """Classes of workload that run side by side: what do they do to each other?

    All begin at the same moment. Each is a run with its own endpoint, payload, load and SLOs, in the folder
    `output_path/run_name/CLASS`; `output_path/run_name` has all of them as one run.

    Attributes:
        classes: a runner for each class by name, with its payload and its `n_requests`, `run_duration` or
            `settings`.
        output_path: the folder in which that of the whole is made.
        shares: the part of each class in one load, which all of their runners then have: their ratio.
            Without shares each class has a load of its own.
        run_name: by default the local time.
        run_description: what it is for, in your words.
        slo: conditions that the whole is to meet.
        alone: whether each class runs alone first; `times_alone` in its figures then says how many times as
            long its latencies are together with the others.
        overwrite: whether a run of the same name is replaced.
    """

    classes: dict[str, Runner]
    output_path: AnyPath
    shares: dict[str, float] | None = None
    run_name: str | None = None
    run_description: str | None = None
    slo: list[str] = field(default_factory=list[str])
    alone: bool = False
    overwrite: bool = True

    async def run(self) -> WorkloadsResult:
        """Carries all of it out. Each class has the hooks of its runner's callbacks.

        Raises:
            ValueError: if a setting cannot be used.
            ConnectionError: if an endpoint cannot be reached.
        """
        loop = asyncio.get_running_loop()
        shares = self.shares or {}
        experiment = {
            "names": list(self.classes),
            "shares": [shares.get(name) for name in self.classes],
            "output_path": str(self.output_path),
            "run_name": self.run_name,
            "run_description": self.run_description,
            "slo": self.slo,
            "alone": self.alone,
            "overwrite": self.overwrite,
        }
        if not self.classes:
            raise ValueError("classes: expected one or more")
        runs = [experiment_run(runner) for runner in self.classes.values()]
        for run in runs:
            await run._prepare()  # pyright: ignore[reportPrivateUsage]
        # The first one carries it.
        parts = [
            with_experiment(run._part(loop), None if at else experiment)  # pyright: ignore[reportPrivateUsage]
            for at, run in enumerate(runs)
        ]
        data, more = await carry_out("workloads", parts, None, None)
        names, count = more["names"], len(runs)
        for warning in data[0].warnings():
            logger.warning("%s", warning)
        classes = [
            await run._concluded(one)  # pyright: ignore[reportPrivateUsage]
            for run, one in zip(runs, data[1 : count + 1], strict=True)
        ]
        alone = [Result._of_data(one) for one in data[count + 1 :]]  # pyright: ignore[reportPrivateUsage]
        whole = Result._of_data(data[0])  # pyright: ignore[reportPrivateUsage]
        return WorkloadsResult(
            whole, dict(zip(names, classes, strict=True)), dict(zip(names, alone, strict=False))
        )
