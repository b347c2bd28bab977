"""What docs/python.md tells people to type works as it is written there."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "docs" / "python.md"


def test_the_examples_run_one_after_the_other(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = DOCUMENT.read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 6
    names: dict[str, object] = {"__name__": "documents"}

    async def run_all():
        for example in examples:
            example = example.replace("http://localhost:8000/v1", server.base_url)
            code = compile(
                example, DOCUMENT.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
            outcome = eval(code, names)
            if inspect.isawaitable(outcome):
                await outcome

    asyncio.run(run_all())
    assert (tmp_path / "first.html").exists()
    assert names["mine"].stats["measurement_stamps"] == "python"
    names["test_it_answers_quickly"](_Fixture())


class _Fixture:
    """Stands for the plugin's fixture, whose server is the simulator of these tests."""

    def __init__(self):
        from llmeter.pytest_plugin import LLMeter, assert_slo

        self.assert_slo = assert_slo
        self._meter = LLMeter()

    def run(self, _, **settings):
        endpoint = _endpoint_at(self._meter.simulate(ttft=0.001, itl=0.001, output_tokens=4))
        try:
            return self._meter.run(endpoint, **settings)
        finally:
            self._meter.close()


def _endpoint_at(server):
    from llmeter.endpoints import OpenAICompletionStreamEndpoint

    return OpenAICompletionStreamEndpoint("any", base_url=server.base_url, api_key="none")
