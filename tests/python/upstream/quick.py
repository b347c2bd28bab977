"""A plug-in of pytest: few examples for generated tests, the same ones each time, and the outcome of every
test in a file."""

import json
import os

import hypothesis

QUICK = hypothesis.settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

outcomes: dict[str, str] = {}


def pytest_collection_modifyitems(items):
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        if hasattr(test, "_hypothesis_internal_use_settings"):
            test._hypothesis_internal_use_settings = QUICK


def pytest_runtest_logreport(report):
    test = report.nodeid.removeprefix("tests/unit/")
    if report.when == "call" or report.outcome != "passed":
        # A failure while a test is taken down counts too.
        if outcomes.get(test) != "failed":
            outcomes[test] = report.outcome


def pytest_sessionfinish():
    with open(os.environ["LLMETER_UPSTREAM_OUTCOMES"], "w") as file:
        json.dump(outcomes, file)
