"""What `_core.pyi` says of the compiled module is so."""

import ast
import inspect
from pathlib import Path

from llmeter import _core

STUB = Path(_core.__file__).with_name("_core.pyi")


def parameters(function: ast.FunctionDef) -> list[tuple[str, bool]]:
    """Names, and whether they may be left out."""
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    required = len(names) - len(function.args.defaults)
    return [(name, at >= required) for at, name in enumerate(names)]


def compiled(function) -> list[tuple[str, bool]]:
    found = inspect.signature(function).parameters.values()
    return [(one.name, one.default is not one.empty) for one in found if one.name != "self"]


def test_the_stub_agrees_with_the_module():
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {*functions, *classes} == {name for name in dir(_core) if not name.startswith("_")}
    for name, function in functions.items():
        assert parameters(function) == compiled(getattr(_core, name)), name
    for name, body in classes.items():
        cls = getattr(_core, name)
        methods = {node.name: node for node in body.body if isinstance(node, ast.FunctionDef)}
        own = {one for one in vars(cls) if not one.startswith("_")}
        assert own == {one for one in methods if not one.startswith("_")}, name
        for method in own:
            assert parameters(methods[method]) == compiled(getattr(cls, method)), (name, method)
