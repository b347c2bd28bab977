"""Runs the example notebooks of the Python llmeter 0.2.0 with our package, against a simulated server.

Nothing of them is changed but addresses and names of models, and what only AWS has.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from run import unpacked

from llmeter import simulate

PLOTLY = "application/vnd.plotly.v1+json"
# Cells that begin so are not run: they would install the other package, or ask AWS what it has.
LEFT_OUT = ("%pip install llmeter", "from llmeter.callbacks.cost.providers.sagemaker import")


def main() -> int:
    examples = unpacked(Path(sys.prefix) / "upstream") / "examples"
    with simulate(ttft=0.004, itl=0.001, output_tokens=12) as server:
        address = server.base_url.removesuffix("/v1")
        os.environ.update(
            AWS_ENDPOINT_URL_BEDROCK_RUNTIME=address,
            AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=address,
            AWS_ACCESS_KEY_ID="none",
            AWS_SECRET_ACCESS_KEY="none",
            AWS_DEFAULT_REGION="us-east-1",
            IPYTHONDIR=tempfile.mkdtemp(),
        )
        with tempfile.TemporaryDirectory() as folder:
            run_all(examples, Path(folder))
    return 0


def run_all(examples: Path, folder: Path) -> None:
    tests = {}
    for name in ("first", "second"):
        model = {"model_id = None": f'model_id = "{name}"'}
        charts = run(examples / "Load testing.ipynb", folder, model)
        expect(charts == 6, f"a load test shows {charts} charts")
        (tests[name],) = (folder / "outputs" / name / "load_test").iterdir()
        pages = sorted(page.name for page in tests[name].glob("*.html"))
        expect(len(pages) == 6, f"a load test writes {pages}")
    paths = {
        "load_test_a_path = None": f'load_test_a_path = "{tests["first"]}"',
        "load_test_b_path = None": f'load_test_b_path = "{tests["second"]}"',
    }
    charts = run(examples / "Compare load tests.ipynb", folder, paths)
    expect(charts == 18, f"a comparison of load tests shows {charts} charts")
    paths = {
        "<path to result of first run": f"{tests['first']}/00010-clients",
        "<path to result of second run>": f"{tests['second']}/00010-clients",
    }
    charts = run(examples / "TTFT_comparison.ipynb", folder, paths)
    expect(charts == 3, f"a comparison of runs shows {charts} charts")
    names = {
        'model_id = ""  # TODO: Your': 'model_id = "jump"  # TODO: Your',
        'endpoint_name = ""  # TODO: Your': 'endpoint_name = "jump"  # TODO: Your',
        "from sagemaker.jumpstart.model import JumpStartModel\n": "",
        "model = JumpStartModel(model_id=model_id, model_version=model_version)\n": "",
        "[k.body for k in (model.retrieve_all_examples() or []) if k.body]": (
            '[SageMakerEndpoint.create_payload("Hello", max_tokens=12)]'
        ),
        "[1, 5, 20, 50, 100, 500]": "[1, 5]",
        "(result.end_time - result.start_time)": (
            "(result.end_time - result.start_time).total_seconds()"
        ),
    }
    run(examples / "Model Costs.ipynb", folder, names)


def run(file: Path, folder: Path, changes: dict[str, str]) -> int:
    """Runs a notebook with some texts changed, and gives how many charts it shows."""
    notebook = nbformat.read(file, as_version=4)
    missing = set(changes)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        if cell.source.startswith(LEFT_OUT):
            cell.source = ""
        for old, new in changes.items():
            if old in cell.source:
                missing.discard(old)
                cell.source = cell.source.replace(old, new)
    expect(not missing, f"{file.name} has no longer {missing}")
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in cells for output in cell.outputs]
    print(f"{file.name}: {len(cells)} cells")
    return sum(PLOTLY in output.get("data", {}) for output in outputs)


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(otherwise)


if __name__ == "__main__":
    sys.exit(main())
