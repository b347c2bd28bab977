"""What importing the package costs: nothing heavy is loaded before it is used."""

import subprocess
import sys

HEAVY = [
    "IPython",
    "anthropic",
    "boto3",
    "botocore",
    "httpx",
    "jmespath",
    "litellm",
    "mlflow",
    "numpy",
    "openai",
    "pandas",
    "plotly",
    "polars",
    "pyarrow",
    "pydantic",
    "tiktoken",
    "tqdm",
    "transformers",
    "upath",
]
MODULES = [
    "llmeter",
    "llmeter.callbacks",
    "llmeter.callbacks.cost.providers.sagemaker",
    "llmeter.endpoints",
    "llmeter.endpoints.anthropic_messages",
    "llmeter.endpoints.bedrock_invoke",
    "llmeter.endpoints.litellm",
    "llmeter.endpoints.openai_response",
    "llmeter.endpoints.sagemaker",
    "llmeter.experiments",
    "llmeter.live_display",
    "llmeter.plotting.heatmap",
    "llmeter.prompt_utils",
    "llmeter.runner",
]
SCRIPT = """
import importlib, sys
for name in sys.argv[2].split(","):
    importlib.import_module(name)
from llmeter.endpoints import OpenAICompletionEndpoint, BedrockConverse
OpenAICompletionEndpoint("m").create_payload("Hello")
BedrockConverse("m").to_dict()
print(*sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
"""


def test_nothing_heavy_is_loaded_before_it_is_used():
    arguments = [sys.executable, "-c", SCRIPT, ",".join(HEAVY), ",".join(MODULES)]
    loaded = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    assert loaded == []
