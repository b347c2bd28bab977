"""Requests as tables of other libraries."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._core import RunData

__all__ = ["RequestTable"]


class RequestTable:
    """What has requests, as a table with a row for each: the run's name, then every field of a response.

    Any library that takes Arrow data (the `PyCapsule` interface) takes it as it is, without a copy through
    JSON or a file: `polars.DataFrame(result)`, `pyarrow.table(result)`. Times are seconds; payloads and
    annotations are JSON.
    """

    @abstractmethod
    def _runs(self) -> dict[str, RunData]:
        """The runs by their names."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The requests as an Arrow stream. The schema is always the same: none can be asked for."""
        from . import _core

        runs = self._runs()
        return _core.arrow_stream(list(runs.values()), list(runs))

    def to_arrow(self) -> pyarrow.Table:  # pyright: ignore[reportUnknownParameterType]
        """The requests as an Arrow table: a row each, a column for each field. Needs pyarrow."""
        import pyarrow

        table: Any = pyarrow.table(self)
        return table

    def to_pandas(self) -> pandas.DataFrame:  # pyright: ignore[reportUnknownParameterType]
        """The requests as a pandas data frame. Needs pandas and pyarrow."""
        frame: Any = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> polars.DataFrame:  # pyright: ignore[reportUnknownParameterType]
        """The requests as a Polars data frame. Needs polars alone."""
        import polars

        return polars.DataFrame(self)
