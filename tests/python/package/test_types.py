"""The package's types, its stub and its style, by the tools that its users have."""

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import pytest

from llmeter import _core
from llmeter.endpoints import InvocationResponse

ROOT = Path(__file__).parents[3]


def judged(*arguments: str, **environment: str) -> None:
    """Runs a tool that must find nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """What one of mypy's tools has read, the next one need not read again."""
    return str(tmp_path_factory.mktemp("mypy"))


def test_the_package_and_the_examples_of_its_document_are_typed(cache, tmp_path):
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    examples = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    # One after the other, in a place where `await` may stand.
    file = tmp_path / "examples.py"
    file.write_text(f"async def document():\n{textwrap.indent(examples, '    ')}", encoding="utf-8")
    judged("mypy", "--cache-dir", cache, "python/llmeter", str(file))


def test_the_stub_agrees_with_the_module(cache):
    config = ("--mypy-config-file", "pyproject.toml")
    judged("mypy.stubtest", *config, "llmeter._core", MYPY_CACHE_DIR=cache)


def test_responses_have_the_fields_of_the_core():
    assert [field.name for field in fields(InvocationResponse)] == _core.response_fields()


def test_the_style_is_one():
    judged("ruff", "check", "--no-cache", ".")
