"""Reads `requests.parquet` and `requests.csv` with pandas, polars and DuckDB, and compares both with the
lines that they were made from.

    python reads_request_tables.py FOLDER

The folder holds the tables, the run folders, and `kinds.json`: how each field is written.
"""

import csv
import json
import math
import sys
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.parquet


def plain(value):
    """A cell of any library as Python's own, with None for what is unset."""
    if value is None or isinstance(value, (str, int, list)):
        return [plain(item) for item in value] if isinstance(value, list) else value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, datetime):
        return None if pandas.isnull(value) else value.astimezone(timezone.utc)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if value is pandas.NA else value


def lines(folder: Path) -> list[dict]:
    """What the lines say, with the payloads that they refer to."""
    said, heads = [], {}
    for text in (folder / "responses.jsonl").read_text().split("\n"):
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        head = line.pop("payload_of", None)
        if head is not None and line.get("input_payload") is not None:
            heads[head] = line
        elif head in heads:
            line["input_payload"] = heads[head]["input_payload"]
            line["input_prompt"] = heads[head]["input_prompt"]
        said.append(line)
    return said


def expected(line: dict, kinds: dict) -> dict:
    row = {}
    annotations = dict(line.get("annotations") or {})
    for key, value in line.items():
        if key not in kinds:
            annotations.setdefault(key, value)
    for key, kind in kinds.items():
        value = line.get(key)
        if key == "annotations":
            value = annotations
        elif kind == "time" and value is not None:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            if value.tzinfo is None:
                value = value.replace(tzinfo=timezone.utc)
        elif kind == "list" and value == []:
            value = None
        elif kind == "prompt" and value is not None and not isinstance(value, str):
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        row[key] = value
    # What a failure of an earlier version was is told from its text.
    if line.get("error") is not None:
        for key in ("error_kind", "error_phase", "error"):
            row.pop(key, None)
    return row


def read(row: dict, kinds: dict) -> dict:
    cells = {key: plain(row[key]) for key in kinds}
    for key, kind in kinds.items():
        if kind == "json" and cells[key] is not None:
            cells[key] = json.loads(cells[key])
    return cells


def csv_rows(path: Path, kinds: dict) -> list[dict]:
    csv.field_size_limit(1 << 30)
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for key, cell in row.items():
                kind = kinds.get(key, "text")
                if kind == "number" or kind == "list":
                    row[key] = json.loads(cell) if cell else None
                elif kind == "time":
                    row[key] = datetime.fromisoformat(cell.replace("Z", "+00:00")) if cell else None
                else:
                    # An empty text and none at all are the same in CSV.
                    row[key] = cell.removeprefix("'") or None
            rows.append(row)
    return rows


def main() -> None:
    base = Path(sys.argv[1])
    kinds = json.loads((base / "kinds.json").read_text())
    parquet = str(base / "requests.parquet")
    tables = {
        "pandas": pandas.read_parquet(parquet, dtype_backend="pyarrow").to_dict("records"),
        "polars": polars.read_parquet(parquet).to_dicts(),
        "duckdb": duckdb.sql(f"select * from read_parquet('{parquet}')").fetchall(),
        "csv": csv_rows(base / "requests.csv", kinds),
    }
    names = duckdb.sql(f"select * from read_parquet('{parquet}')").columns
    tables["duckdb"] = [dict(zip(names, row)) for row in tables["duckdb"]]

    about = pyarrow.parquet.read_metadata(parquet).metadata[b"llmeter.runs"]
    about = {run["run"]: run for run in json.loads(about)}
    wanted = []
    for run in about:
        said = lines(base / run)
        wanted += [(run, expected(line, kinds)) for line in said]
        if about[run]["summary"]["total_requests"] not in (len(said), None):
            sys.exit(f"{run}: {about[run]['summary']}")
        if said and "failed_requests" not in about[run]["stats"]:
            sys.exit(f"{run}: {about[run]['stats']}")

    for library, rows in tables.items():
        if len(rows) != len(wanted):
            sys.exit(f"{library}: {len(rows)} rows for {len(wanted)} lines")
        for number, (row, (run, line)) in enumerate(zip(rows, wanted)):
            cells = read(row, kinds)
            if row["run"] != run:
                sys.exit(f"{library}: row {number} is of {row['run']}, not of {run}")
            for key, value in line.items():
                if library == "csv" and value == "":
                    value = None
                if key == "time_per_output_token" and value is None:
                    continue
                if cells[key] != value:
                    sys.exit(f"{library}, row {number}, {key}: {cells[key]!r:.200}, not {value!r:.200}")
    runs = sum(1 for run in about if (base / run / "responses.jsonl").stat().st_size)
    print(f"{', '.join(tables)}: {len(wanted)} requests of {runs} runs")


if __name__ == "__main__":
    main()
