"""What requests and runs cost.

Use a `CostModel` as a callback of a run, or on results that you have already. It is as right as the
prices you give it.
"""

from .model import CostModel
from .results import CalculatedCostWithDimensions

__all__ = ["CalculatedCostWithDimensions", "CostModel"]
