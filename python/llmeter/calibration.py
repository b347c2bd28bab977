"""What this machine adds to the times that llmeter reports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from ._work import carry_out

__all__ = ["Calibration", "calibrate"]


@dataclass(repr=False)
class Calibration:
    """What this machine adds. `calibrate` measures it.

    Attributes:
        stats: the figures in seconds, by keys like `measurement_calibration_ttft-p99`, and the verdict.
        text: the calibration as the command line prints it.
    """

    stats: dict[str, Any]
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Calibration({self.stats!r})"

    def _repr_html_(self) -> str:
        from ._html import text_block

        return text_block(self.text)


async def calibrate(
    *,
    clients: int = 1,
    duration: float = 4.0,
    ttft: float = 0.05,
    itl: float = 0.01,
    output_tokens: int = 64,
    stamps: Literal["auto", "kernel", "user", "packet"] = "kernel",
) -> Calibration:
    """Replays a load against a simulated server in this process, every write of which is known.

    Args:
        clients: how many requests are in flight at a time.
        duration: seconds for which they send.
        ttft: the server's seconds to the first token.
        itl: its seconds from token to token.
        output_tokens: tokens of each response.
        stamps: who takes the times of what arrives.

    Raises:
        ValueError: if an argument cannot be used, or no request was completed in the time.
    """
    arguments = json.dumps(dict(locals()))
    _, more = await carry_out("calibrate", [arguments], None, None)
    return Calibration(stats=more["stats"], text=more["text"])
