"""Runs the unit tests of the Python llmeter 0.2.0 against our package.

They come with its source distribution, of which the package itself is not unpacked. What of them does not
pass is listed in `not_passing.txt` with the reason; the outcome must agree with that list in both ways.

    python run.py [test ...]
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIST = HERE / "not_passing.txt"
VERSION = "0.2.0"
SHA256 = "b00739cab732bb98b70dc4a4003ad854ab7ea1c68305273f7e9b80a34fcc8fab"
WANTED = ("tests/", "examples/", "pyproject.toml")
TESTS = 1009
PASSING_AT_LEAST = 702
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "OPENAI_API_KEY": "none",
    "ANTHROPIC_API_KEY": "none",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "*",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Whose outcome may be either.
EITHER = "either way"


def main(chosen: list[str]) -> int:
    folder = unpacked(Path(sys.prefix) / "upstream")
    outcomes = run(folder, chosen)
    listed = read_list()
    passed = {test for test, outcome in outcomes.items() if outcome in ("passed", "skipped")}
    not_passed = outcomes.keys() - passed
    firm = {test for test, reason in listed.items() if EITHER not in reason}
    problems = [
        *(f"does not pass and is not listed: {test}" for test in sorted(not_passed - listed.keys())),
        *(f"passes and is listed: {test}" for test in sorted(passed & firm)),
    ]
    if not chosen:
        gone = sorted(listed.keys() - outcomes.keys())
        problems += [f"is listed and does not exist: {test}" for test in gone]
        if len(outcomes) != TESTS:
            problems.append(f"{TESTS} tests are expected, there were {len(outcomes)}")
        if len(passed) < PASSING_AT_LEAST:
            problems.append(f"{PASSING_AT_LEAST} tests must pass")
    for problem in problems:
        print(problem)
    print(f"{len(passed)} of {len(outcomes)} tests pass")
    return 1 if problems else 0


def unpacked(folder: Path) -> Path:
    """The folder with the tests and examples, which are fetched if they are not there."""
    done = folder / f"llmeter-{VERSION}"
    if done.exists():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as partly:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--disable-pip-version-check", "--no-input"]
        pip += ["--no-binary", "llmeter", "--dest", partly, f"llmeter=={VERSION}"]
        subprocess.run(pip, check=True)
        archive = Path(partly, f"llmeter-{VERSION}.tar.gz")
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            raise SystemExit(f"{archive.name} has another content than is expected")
        with tarfile.open(archive) as tar:
            wanted = tuple(f"llmeter-{VERSION}/{part}" for part in WANTED)
            members = [one for one in tar.getmembers() if one.name.startswith(wanted)]
            tar.extractall(partly, members, filter="data")
        try:
            # Only a folder that is whole has its name.
            Path(partly, done.name).rename(done)
        except OSError:
            # Another process was faster.
            if not done.exists():
                raise
    return done


def run(folder: Path, chosen: list[str]) -> dict[str, str]:
    """The outcome of each test."""
    report = folder / "outcomes.json"
    report.unlink(missing_ok=True)
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "LLMETER_UPSTREAM_OUTCOMES": str(report),
    }
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "quick", "-p", "no:cacheprovider"]
    pytest += ["--tb=line" if not chosen else "--tb=short", "--no-header", "-W", "ignore"]
    tests = [f"tests/unit/{test}" for test in chosen] or ["tests/unit"]
    done = subprocess.run(
        [*pytest, *tests], cwd=folder, env=environment, capture_output=not chosen, text=True
    )
    if not report.exists():
        raise SystemExit(f"the tests did not run:\n{done.stdout}{done.stderr}")
    return json.loads(report.read_text())


def read_list() -> dict[str, str]:
    """The tests of the list with their reasons: each reason is a line above its indented tests."""
    listed: dict[str, str] = {}
    reason = ""
    for line in LIST.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            reason = line
        elif line.strip() in listed:
            raise SystemExit(f"{LIST.name} names a test twice: {line.strip()}")
        else:
            listed[line.strip()] = reason
    return listed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
