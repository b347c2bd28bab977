"""Loads run folders that llmeter wrote with the Python llmeter 0.2.0 and compares.

    python python_reads_our_folders.py FOLDER...

Each folder must hold at least 100 successful requests: with fewer, the percentiles of 0.2.0 leave
the range of the data, and ours do not.
"""

import json
import sys
from pathlib import Path

from llmeter.results import Result

SUMMARY = (
    "total_requests clients n_requests total_test_time model_id output_path endpoint_name provider "
    "run_name run_description start_time first_request_time last_request_time end_time"
).split()
OUR_LINE_KEYS = {
    "time_to_first_answer_token",
    "inter_token_latencies",
    "content_frames",
    "finish_reason",
    "status",
}


def check(folder: Path) -> list[str]:
    problems = []
    saved = json.loads((folder / "stats.json").read_text())
    lines = [json.loads(line) for line in (folder / "responses.jsonl").read_text().splitlines()]
    result = Result.load(folder)
    loaded = result.stats
    recomputed = Result._compute_stats(result)
    failed = any(line["error"] is not None for line in lines)

    if list(saved)[: len(SUMMARY)] != SUMMARY:
        problems.append("stats.json does not begin with the summary's fields")
    if len(result.responses) != len(lines):
        problems.append(f"{len(result.responses)} answers of {len(lines)} lines")
    if len(lines) - saved["failed_requests"] < 100:
        problems.append("fewer than 100 successful requests: nothing to compare")
    for key, ours in saved.items():
        if key not in loaded:
            problems.append(f"{key}: not loaded")
        if key in SUMMARY or key not in recomputed:
            continue
        if failed and "-" in key:
            continue  # 0.2.0 counts failed requests among the values
        theirs = recomputed[key]
        if ours != theirs:
            problems.append(f"{key}: ours {ours!r}, theirs {theirs!r}")
    for key in recomputed:
        if key not in saved:
            problems.append(f"{key}: theirs only")

    for line, response in zip(lines, result.responses):
        for key in ("response_text", "id", "error", "num_tokens_output", "time_to_last_token"):
            if getattr(response, key) != line[key]:
                problems.append(f"{line['id']}: {key} differs")
        if line["request_time"] and response.request_time.tzinfo is None:
            problems.append(f"{line['id']}: request_time lost its zone")
        if line["error"] is None and not OUR_LINE_KEYS <= set(response.annotations):
            problems.append(f"{line['id']}: our own keys are not among the annotations")
        if not set(line["annotations"]) <= set(response.annotations):
            problems.append(f"{line['id']}: annotations are lost")

    without = Result.load(folder, load_responses=False).stats
    for key in saved:
        if key not in SUMMARY and without[key] != saved[key]:
            problems.append(f"{key}: differs when loaded without answers")
    return problems


def main() -> int:
    status = 0
    for name in sys.argv[1:]:
        problems = check(Path(name))
        print(f"{name}: {'same' if not problems else f'{len(problems)} differences'}")
        for problem in problems[:40]:
            print(f"  {problem}")
        status |= bool(problems)
    return status


if __name__ == "__main__":
    sys.exit(main())
