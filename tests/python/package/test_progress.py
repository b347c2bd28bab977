"""What a terminal shows of a run under way."""

import io
import json
import re
import sys

from llmeter._progress import RunDisplay
from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner


class Terminal(io.StringIO):
    """Knows what is on its screen."""

    def isatty(self):
        return True

    def screen(self) -> list[str]:
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[\d*[A-Z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            if part == "\r":
                column = 0
            elif part == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif part.endswith("A") and part.startswith("\x1b"):
                row -= int(part[2:-1] or 1)
                assert row >= 0
            elif part == "\x1b[J":
                rows[row:] = [rows[row][:column]]
            else:
                assert not part.startswith("\x1b"), part
                before = rows[row].ljust(column)
                rows[row] = before[:column] + part + before[column + len(part) :]
                column += len(part)
        return [line.rstrip() for line in rows]


def display_of(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    endpoint = OpenAICompletionStreamEndpoint("m", base_url="http://localhost", api_key="none")
    run = Runner(endpoint, payload={"messages": []}, clients=2, n_requests=4)._prepare_run()
    return RunDisplay(run)


def state(recorded: int) -> str:
    stats = {"requests_per_minute": 60.0 * recorded, "failed_requests": 0}
    return json.dumps({"recorded": recorded, "elapsed": 1.0, "stats": stats})


def test_the_bar_stands_below_the_figures_and_both_go(monkeypatch):
    terminal = Terminal()
    display = display_of(terminal, monkeypatch)
    for recorded in (1, 5, 8):
        display.update(state(recorded))
        *figures, bar = terminal.screen()
        assert [line.split(":")[0].strip() for line in figures] == [
            "Throughput",
            "TTFT",
            "TTLT",
            "Tokens",
            "Errors",
        ]
        assert f"rpm={60.0 * recorded}" in figures[0]
        assert bar.startswith("Total requests:") and f" {recorded}/8 " in bar
    display.close()
    assert terminal.screen() == [""]


def test_nothing_is_shown_where_nobody_looks(monkeypatch):
    file = io.StringIO()
    display = display_of(file, monkeypatch)
    display.update(state(3))
    display.close()
    assert file.getvalue() == ""
