"""What a cost consists of: prices of requests, and prices of a run as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Protocol

from ...serialization import Serializable
from .._native import native

if TYPE_CHECKING:
    from ...endpoints.base import InvocationResponse
    from ...results import Result
    from ...runner import _RunConfig  # pyright: ignore[reportPrivateUsage]

__all__ = [
    "CachedInputTokens",
    "EndpointTime",
    "IRequestCostDimension",
    "IRunCostDimension",
    "InputTokens",
    "OutputTokens",
    "PerRequest",
    "ReasoningTokens",
    "RequestCostDimensionBase",
    "RunCostDimensionBase",
]


class IRequestCostDimension(Protocol):
    """Whatever can tell what a request costs.

    To be saved with a cost model, derive from `RequestCostDimensionBase`.
    """

    async def calculate(self, response: InvocationResponse, /) -> float | None:
        """The cost of a request; `None` if it is unknown."""
        ...


class IRunCostDimension(Protocol):
    """Whatever can tell what a run costs, beside its requests.

    To be saved with a cost model, derive from `RunCostDimensionBase`.
    """

    async def before_run_start(self, run_config: _RunConfig, /) -> None:
        """Called when a run begins."""
        ...

    async def calculate(self, result: Result, /) -> float | None:
        """The cost of a run that has ended; `None` if it is unknown."""
        ...


class RequestCostDimensionBase(Serializable, ABC):
    """A dimension of each request's cost that can be saved."""

    @abstractmethod
    async def calculate(self, response: InvocationResponse, /) -> float | None:
        """The cost of a request; `None` if it is unknown."""
        raise NotImplementedError


class RunCostDimensionBase(Serializable, ABC):
    """A dimension of a run's cost that can be saved."""

    async def before_run_start(self, run_config: _RunConfig, /) -> None:
        """Called when a run begins."""

    @abstractmethod
    async def calculate(self, result: Result, /) -> float | None:
        """The cost of a run that has ended; `None` if it is unknown."""
        raise NotImplementedError


@dataclass
class _TokenPrice(RequestCostDimensionBase):
    price_per_million: float
    granularity: int = 1

    # The field of a response that has the tokens.
    _tokens: ClassVar[str]

    async def calculate(self, response: InvocationResponse, /) -> float | None:
        """The cost of a request; `None` if its tokens are unknown."""
        tokens = getattr(response, self._tokens)
        if tokens is None:
            return None
        return _billable(tokens, self.granularity) * self.price_per_million / 1_000_000


@native
@dataclass
class InputTokens(_TokenPrice):
    """A price for input tokens.

    Cached ones are among them, unless the cost model also has `CachedInputTokens`.

    Args:
        price_per_million: the price of a million tokens.
        granularity: tokens that are billed at once, rounded up.
    """

    _tokens = "num_tokens_input"


@native
@dataclass
class OutputTokens(_TokenPrice):
    """A price for output tokens.

    Reasoning is among them, unless the cost model also has `ReasoningTokens`.

    Args:
        price_per_million: the price of a million tokens.
        granularity: tokens that are billed at once, rounded up.
    """

    _tokens = "num_tokens_output"


@native
@dataclass
class CachedInputTokens(_TokenPrice):
    """A price for input tokens from the server's cache, instead of that of `InputTokens`.

    Args:
        price_per_million: the price of a million tokens.
        granularity: tokens that are billed at once, rounded up.
    """

    _tokens = "num_tokens_input_cached"


@native
@dataclass
class ReasoningTokens(_TokenPrice):
    """A price for output tokens that were reasoning, instead of that of `OutputTokens`.

    Args:
        price_per_million: the price of a million tokens.
        granularity: tokens that are billed at once, rounded up.
    """

    _tokens = "num_tokens_output_reasoning"


@native
@dataclass
class PerRequest(RequestCostDimensionBase):
    """A price for each request that was sent, whether it succeeded or not.

    Args:
        price_per_request: the price of a request.
    """

    price_per_request: float

    async def calculate(self, response: InvocationResponse, /) -> float | None:
        was_sent = response.error is None or response.request_time is not None
        return self.price_per_request if was_sent else 0.0


@native
@dataclass
class EndpointTime(RunCostDimensionBase):
    """A price for the time that a run takes.

    Args:
        price_per_hour: the price of an hour.
        granularity_secs: seconds that are billed at once, rounded up.
    """

    price_per_hour: float
    granularity_secs: float = 1

    async def calculate(self, result: Result, /) -> float | None:
        if result.total_test_time is None:
            return None
        seconds = _billable(result.total_test_time, self.granularity_secs)
        return seconds * self.price_per_hour / 3600


def _billable(used: float, granularity: float) -> float:
    return ceil(used / granularity) * granularity
