"""One load against one endpoint: a `Runner` holds what runs share, `Runner.run` carries one out."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from dataclasses import InitVar, dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from . import _bridge
from ._work import GracefulShutdown as _GracefulShutdown  # noqa: F401  # pyright: ignore[reportUnusedImport]
from ._work import carry_out
from .prompt_utils import load_payloads, save_payloads
from .results import Result
from .serialization import CLASS, dump_object, json_default, load_object
from .tokenizers import DummyTokenizer, Tokenizer
from .utils import ensure_path

if TYPE_CHECKING:
    from pathlib import Path

    from ._core import RunData
    from .endpoints._response import InvocationResponse
    from .utils import AnyPath

__all__ = ["Runner", "STATS_UPDATE_INTERVAL", "TIME_BAR_TICK_INTERVAL"]

logger = logging.getLogger(__name__)

STATS_UPDATE_INTERVAL = 0.5
"""Seconds between two looks at a run under way."""
TIME_BAR_TICK_INTERVAL = 0.5
"""Seconds between two steps of a time-bound run's bar."""

_disable_tqdm = os.getenv("LLMETER_DISABLE_ALL_PROGRESS_BARS") == "1"

# The folders of an experiment's runs: `00008-clients`.
_RUN_OF_EXPERIMENT = re.compile(r"\d{5,}-")

# Settings of loads in which the clock or stages decide how many requests are in flight.
_INSTEAD_OF_CLIENTS = {
    "rate",
    "arrivals",
    "max_in_flight",
    "stages",
    "replay",
    "sessions",
    "session_rate",
}

# Settings that say how much is sent, or when a run ends: in place of one request for each payload.
_AMOUNTS = {"duration", "requests", "stages", "until"}

# What `run_config.json` has, in its order.
_SAVED = (
    "endpoint",
    "output_path",
    "tokenizer",
    "clients",
    "n_requests",
    "run_duration",
    "payload",
    "run_name",
    "run_description",
    "timeout",
    "callbacks",
    "low_memory",
    "progress_bar_stats",
)


def _refuse_experiment(folder: Path) -> None:
    """A run takes the place of one of its name, but not of an experiment of many runs."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return
    if "ab.json" in names or any(_RUN_OF_EXPERIMENT.match(name) for name in names):
        raise FileExistsError(f"{folder} holds an experiment: choose another run_name")


class InvalidSetting(AssertionError, ValueError):
    """A setting that cannot be used."""


def _require(holds: object, message: str) -> None:
    if not holds:
        raise InvalidSetting(message)


@dataclass
class _RunConfig:
    """What a runner and each of its runs have. `Runner` describes the fields."""

    endpoint: Any = None
    output_path: AnyPath | None = None
    tokenizer: Any = None
    clients: int = 1
    n_requests: int | None = None
    run_duration: int | float | timedelta | None = None
    payload: dict[str, Any] | list[dict[str, Any]] | AnyPath | None = None
    run_name: str | None = None
    run_description: str | None = None
    timeout: int | float = 60
    callbacks: list[Any] | None = None
    low_memory: bool = False
    progress_bar_stats: dict[str, Any] | None = None
    disable_per_client_progress_bar: InitVar[bool] = True
    disable_clients_progress_bar: InitVar[bool] = True
    settings: dict[str, Any] | None = None
    overwrite: bool = True

    def __post_init__(
        self, disable_per_client_progress_bar: bool, disable_clients_progress_bar: bool
    ) -> None:
        self._disable_per_client_progress_bar = disable_per_client_progress_bar
        self._disable_clients_progress_bar = disable_clients_progress_bar
        if self.n_requests is not None and self.run_duration is None:
            _require(self.n_requests > 0, "Number of requests must be a positive integer")
        if isinstance(self.run_duration, timedelta):
            self.run_duration = self.run_duration.total_seconds()
        if self.run_duration is not None:
            _require(self.run_duration > 0, "Run duration must be a positive number")
        _require(self.clients > 0, "Number of clients must be a positive integer")
        if self.run_name is not None:
            _require(len(self.run_name) > 0, "Run name must be a non-empty string")
        _require(self.endpoint is not None, "Endpoint cannot be None")
        self._endpoint: Any = _loaded_endpoint(self.endpoint)
        self.output_path = ensure_path(self.output_path)
        if self.tokenizer is None:
            self.tokenizer = DummyTokenizer()
        self._tokenizer: Any = _loaded_tokenizer(self.tokenizer)

    def save(
        self, output_path: AnyPath | None = None, file_name: str = "run_config.json"
    ) -> None:
        """Writes the configuration, and its payloads beside it, so that `load` reads it again.

        Args:
            output_path: the folder, by default the configuration's own; without one nothing is written.
            file_name: the file's name.
        """
        folder = ensure_path(output_path or self.output_path)
        if folder is None:
            logger.info("No output_path provided - skipping saving run config")
            return
        folder.mkdir(parents=True, exist_ok=True)
        config = {name: getattr(self, name) for name in _SAVED}
        if self.payload and isinstance(self.payload, (dict, list)):
            config["payload"] = save_payloads(self.payload, folder)
        config["endpoint"] = dump_object(self._endpoint)
        config["tokenizer"] = dump_object(self._tokenizer)
        if self.callbacks:
            config["callbacks"] = [dump_object(callback) for callback in self.callbacks]
        text = json.dumps(config, default=json_default, indent=4)
        (folder / file_name).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, load_path: AnyPath, file_name: str = "run_config.json") -> Any:
        """Reads a configuration that `save` or a run has written."""
        text = (ensure_path(load_path) / file_name).read_text(encoding="utf-8")
        config: dict[str, Any] = json.loads(text)
        for name in ("endpoint", "tokenizer"):
            config[name] = _loaded(config.get(name))
        if isinstance(config.get("callbacks"), list):
            config["callbacks"] = [_loaded(callback) for callback in config["callbacks"]]
        return cls(**config)


def _loaded(value: Any) -> Any:
    """An object of its envelope; anything else as it is."""
    return load_object(value) if isinstance(value, dict) and CLASS in value else value


def _loaded_endpoint(endpoint: Any) -> Any:
    if not isinstance(endpoint, dict) or CLASS in endpoint:
        return _loaded(endpoint)
    from .endpoints.base import Endpoint

    logger.warning("the endpoint is in the form written before 0.2.0: save it anew")
    return Endpoint.load(endpoint)


def _loaded_tokenizer(tokenizer: Any) -> Any:
    if not isinstance(tokenizer, dict) or CLASS in tokenizer:
        return _loaded(tokenizer)
    logger.warning("the tokenizer is in the form written before 0.2.0: save it anew")
    return Tokenizer.load(tokenizer)


@dataclass
class _Run(_RunConfig):
    """One run. `Runner.run` makes it."""

    def __post_init__(
        self, disable_per_client_progress_bar: bool, disable_clients_progress_bar: bool
    ) -> None:
        _require(self.run_name is not None, "Test Run must be created with an explicit run_name")
        super().__post_init__(disable_per_client_progress_bar, disable_clients_progress_bar)
        self._has_amount = bool(self.n_requests)
        self._validate_and_prepare_payload()
        self._responses: list[InvocationResponse] = []
        self._extras: _bridge.Extras = {}
        self._name_is_free = False
        self._sends_each_once = False
        self._begins: Path | None = None
        self._partial: Result | None = None
        if self.low_memory:
            _require(
                self.output_path is not None,
                "output_path is required when low_memory=True "
                "(responses must be written to disk)",
            )

    def _has_data(self) -> bool:
        """Whether requests come from data of the core's, and not from payloads."""
        settings = self.settings or {}
        return bool(settings.get("data") or settings.get("replay"))

    def _validate_and_prepare_payload(self) -> None:
        if self._has_data():
            _require(not self.payload, "give payload or settings['data'], not both")
            self.payload = []
        _require(self.payload or self._has_data(), "No payload provided")
        if isinstance(self.payload, dict):
            self.payload = [self.payload]
        elif not isinstance(self.payload, list):
            self.payload = list(load_payloads(cast("AnyPath", self.payload)))
        if self.run_duration is not None and self.n_requests:
            raise ValueError(
                "Cannot set both n_requests and run_duration. "
                "Use n_requests for request-bound runs or run_duration for time-bound runs."
            )
        self._time_bound = self.run_duration is not None
        self.n_requests = 0 if self._time_bound else self.n_requests or len(self.payload)

    # For the core

    def _settings(self) -> dict[str, Any]:
        """The settings of the run, as the core calls them."""
        settings: dict[str, Any] = {
            "clients": self.clients,
            "timeout": self.timeout,
            "low_memory": self.low_memory,
            "overwrite": self.overwrite,
            "run_name": self.run_name,
        }
        if self._time_bound:
            settings["duration"] = self.run_duration
        elif not self._sends_each_once and self.n_requests:
            settings["requests"] = self.n_requests
        if self.run_description is not None:
            settings["description"] = self.run_description
        given = self.settings or {}
        if _AMOUNTS & given.keys() and not self._has_amount:
            settings.pop("requests", None)
        if _INSTEAD_OF_CLIENTS & given.keys():
            del settings["clients"]
        settings.update(given)
        experiment: dict[str, Any] = {}
        if self._sends_each_once:
            experiment["each_once"] = True
        if self._begins is not None:
            experiment["take"] = str(self._begins)
        if experiment:
            settings["experiment"] = experiment
        folder = ensure_path(self.output_path)
        if folder is not None and self._name_is_free:
            # The core takes another name where there is a run of this minute already.
            settings["output"] = str(folder.parent)
            del settings["run_name"]
        elif folder is not None:
            _refuse_experiment(folder)
            settings["folder"] = str(folder)
        return settings

    def _part(self, loop: asyncio.AbstractEventLoop) -> tuple[Any, ...]:
        return (
            json.dumps(self._settings(), default=json_default),
            _bridge.endpoint_part(self._endpoint, loop),
            json.dumps(self.payload, default=json_default),
            _bridge.callback_parts(self.callbacks or [], self._extras),
            _bridge.tokenizer_part(self._tokenizer),
        )

    async def _prepare(self) -> None:
        """Has callbacks change what is to be run."""
        for callback in self.callbacks or []:
            if not _bridge.is_native_callback(callback):
                if (hook := _bridge.hook_of(callback, "before_run")) is not None:
                    await _bridge.call(hook, self)
        if isinstance(self.payload, (dict, str)):
            self._validate_and_prepare_payload()

    async def _run(self) -> Result:
        """Carries the run out, once."""
        await self._prepare()
        loop = asyncio.get_running_loop()
        display = _display(self)
        try:
            data, _ = await carry_out(
                "run", [self._part(loop)], display.update, self._keep_partial
            )
            display.conclude(data[0])
        finally:
            display.close()
        return await self._concluded(data[0])

    def _keep_partial(self, data: list[RunData]) -> None:
        self._partial = self._result(data[0])

    def _result(self, data: RunData) -> Result:
        result = Result._of_data(data, self._extras)  # pyright: ignore[reportPrivateUsage]
        for key, value in result.stats.items():
            # As the callback that has the prices does it.
            if key.startswith("cost_") and isinstance(value, (int, float)):
                setattr(result, key, value)
        for warning in data.warnings():
            logger.warning("%s", warning)
        return result

    async def _concluded(self, data: RunData) -> Result:
        """The result as the callbacks leave it."""
        result = self._result(data)
        if result.stats.get("interrupted"):
            logger.warning(
                "Run interrupted: %s responses were recorded%s",
                result.total_requests,
                f" and saved in {result.output_path}" if result.output_path else "",
            )
        failed: list[dict[str, Any]] = []
        hooks = [
            (callback, hook)
            for callback in self.callbacks or []
            if not _bridge.is_native_callback(callback)
            and (hook := _bridge.hook_of(callback, "after_run")) is not None
        ]
        for callback, hook in hooks:
            try:
                await _bridge.call(hook, result)
            except Exception as error:
                name = type(callback).__name__
                logger.warning("Callback %s.after_run failed: %s", name, error)
                failed.append(
                    {"callback": name, "hook": "after_run", "count": 1, "first": str(error)}
                )
        if failed and result._preloaded_stats is not None:  # pyright: ignore[reportPrivateUsage]
            known = result._preloaded_stats  # pyright: ignore[reportPrivateUsage]
            known["callback_errors"] = [*known.get("callback_errors", []), *failed]
        if hooks and result.output_path:
            result.save()
        return result


def _display(run: _Run) -> Any:
    from ._progress import RunDisplay

    return RunDisplay(run, disabled=_disable_tqdm)


@dataclass
class Runner(_RunConfig):
    """What some runs share. Each `run` may override anything of it.

    Attributes:
        endpoint: where to send; required here or for each run.
        output_path: the folder, here or in the cloud, in which each run's folder is made; nothing is
            written without it.
        tokenizer: counts tokens where the server reports none. By default words are counted.
        clients: how many requests are in flight at a time: each client has one.
        n_requests: requests of each client, by default one for each payload. Excludes `run_duration`.
        run_duration: seconds, or a timedelta, for which each client sends.
        payload: what to send: a dict, a list of them, or the path of a file or folder of them.
        run_name: ignored here: give it to `run`. A run without one is called by the local time.
        run_description: what the runs are for, in your words.
        timeout: the longest time of one request, in seconds. One that takes longer has failed.
        callbacks: what is called before and after runs and requests, in this order.
        low_memory: keep no responses in memory; needs `output_path`.
        progress_bar_stats: what to show of a run under way: labels with keys of `Result.stats`; `{}`
            shows nothing.
        disable_per_client_progress_bar: has no effect: clients have no bars of their own.
        disable_clients_progress_bar: has no effect either.
        settings: any other setting of a run by its name, such as `{"slo": ["ttft < 500ms"], "warmup": 8}`;
            `llmeter run --help` explains them.
        overwrite: whether a run replaces one of the same name; otherwise it raises `FileExistsError`.
    """

    def __post_init__(
        self, disable_per_client_progress_bar: bool, disable_clients_progress_bar: bool
    ) -> None:
        super().__post_init__(disable_per_client_progress_bar, disable_clients_progress_bar)
        self._sends_each_once = False
        # The folder of an experiment whose first run comes next.
        self._begins: Path | None = None
        self.last_result: Result | None = None
        """The result of the last run, also of one whose task was cancelled."""

    def _prepare_run(self, **kwargs: Any) -> _Run:
        """One run of these overrides; `None` is none."""
        given = {name: value for name, value in kwargs.items() if value is not None}
        params = {field.name: getattr(self, field.name) for field in fields(_RunConfig)}
        if given.get("run_duration") is not None and "n_requests" not in given:
            params["n_requests"] = None
        elif given.get("n_requests") is not None and "run_duration" not in given:
            params["run_duration"] = None
        params.update(given)
        params["run_name"] = given.get("run_name", f"{datetime.now():%Y%m%d-%H%M}")
        folder = ensure_path(self.output_path)
        if folder is not None and given.get("output_path") is None:
            params["output_path"] = folder / params["run_name"]
        clients = params.get("clients")
        if clients is None:
            raise ValueError("Number of clients must be set")
        if not isinstance(clients, int) or clients <= 0:
            raise ValueError("Number of clients must be a positive integer")
        run = _Run(**params)
        is_named = given.get("run_name") is not None
        run._sends_each_once = self._sends_each_once  # pyright: ignore[reportPrivateUsage]
        run._begins = self._begins  # pyright: ignore[reportPrivateUsage]
        run._name_is_free = not is_named and given.get("output_path") is None  # pyright: ignore[reportPrivateUsage]
        return run

    async def run(
        self,
        *,
        endpoint: Any = None,
        output_path: AnyPath | None = None,
        tokenizer: Any = None,
        clients: int | None = None,
        n_requests: int | None = None,
        run_duration: int | float | timedelta | None = None,
        payload: dict[str, Any] | list[dict[str, Any]] | AnyPath | None = None,
        run_name: str | None = None,
        run_description: str | None = None,
        timeout: int | float | None = None,
        callbacks: list[Any] | None = None,
        low_memory: bool | None = None,
        progress_bar_stats: dict[str, Any] | None = None,
        disable_per_client_progress_bar: bool | None = None,
        disable_clients_progress_bar: bool | None = None,
        settings: dict[str, Any] | None = None,
        overwrite: bool | None = None,
    ) -> Result:
        """Carries out a run: the runner's settings, with those that are given here in their place.

        An `output_path` given here is the run's own folder. Ctrl-C ends sending, and the result is
        that of what was recorded; `stats["interrupted"]` is true then. The work is done on threads
        of the core, without Python's lock: the event loop is free, and several runs may go on at
        the same time.

        Raises:
            ValueError: if a setting cannot be used.
            ConnectionError: if the endpoint cannot be reached. Failed requests are no error.
            FileExistsError: if the folder holds a run and `overwrite` is false.
        """
        run = self._prepare_run(
            endpoint=endpoint,
            output_path=output_path,
            tokenizer=tokenizer,
            clients=clients,
            n_requests=n_requests,
            run_duration=run_duration,
            payload=payload,
            run_name=run_name,
            run_description=run_description,
            timeout=timeout,
            callbacks=callbacks,
            low_memory=low_memory,
            progress_bar_stats=progress_bar_stats,
            disable_per_client_progress_bar=disable_per_client_progress_bar,
            disable_clients_progress_bar=disable_clients_progress_bar,
            settings=settings,
            overwrite=overwrite,
        )
        return await self._carry_out(run)

    async def _carry_out(self, run: _Run) -> Result:
        try:
            self.last_result = await run._run()  # pyright: ignore[reportPrivateUsage]
        except asyncio.CancelledError:
            self.last_result = run._partial  # pyright: ignore[reportPrivateUsage]
            raise
        return self.last_result

    def add_callback(self, callback: Any) -> None:
        """Adds a callback after those that are there."""
        if self.callbacks is None:
            self.callbacks = [callback]
        else:
            self.callbacks.append(callback)


def experiment_run(runner: Runner, settings: dict[str, Any] | None = None) -> _Run:
    """The runs of an experiment, which get their folders from the core.

    `settings` is what the experiment sets in them where the runner does not.
    """
    if settings:
        run = runner._prepare_run(settings={**settings, **(runner.settings or {})})  # pyright: ignore[reportPrivateUsage]
    else:
        run = runner._prepare_run()  # pyright: ignore[reportPrivateUsage]
    run.output_path = None
    return run


def experiment_part(
    runner: Runner,
    loop: asyncio.AbstractEventLoop,
    experiment: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> tuple[Any, ...]:
    """The runs of an experiment for the core, with what the experiment has beside them."""
    return with_experiment(experiment_run(runner, settings)._part(loop), experiment)  # pyright: ignore[reportPrivateUsage]


def with_experiment(part: tuple[Any, ...], experiment: dict[str, Any] | None) -> tuple[Any, ...]:
    """A part that carries what an experiment has beside its runs."""
    if experiment is None:
        return part
    return (json.dumps({**json.loads(part[0]), "experiment": experiment}), *part[1:])
