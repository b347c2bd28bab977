"""Objects as JSON files hold them.

A saved object is an envelope that names its class and holds its state, the constructor's arguments:

    {"__llmeter_class__": "my_app.Stamp", "__llmeter_state__": {"text": "paid"}}

Derive from `Serializable` to make a class of your own savable. Objects are kept apart from pickle:
`copy` and `pickle` work on them as on any other.

A file cannot make Python import a module that it chooses. Classes of llmeter load always, your own
ones if their module has been imported, or if you allow it with `allow_module`.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import importlib
import inspect
import json
import os
import re
import sys
import types
import typing
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any, Union

from .utils import ensure_path

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from .utils import AnyPath

__all__ = [
    "Serializable",
    "allow_module",
    "bytes_decoder",
    "datetime_to_str",
    "dump_object",
    "json_default",
    "load_object",
    "restore_dataclass_types",
    "str_to_datetime",
]

CLASS = "__llmeter_class__"
STATE = "__llmeter_state__"
BYTES = "__llmeter_bytes__"

_UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_FRACTION = re.compile(r"\.(\d+)")
_allowed_modules = {"llmeter"}


# Times


def datetime_to_str(dt: datetime) -> str:
    """The ISO-8601 form of a time: in UTC with a final `Z`, or as it is if it has no zone.

    A fraction of a second is kept, in microseconds.
    """
    if dt.tzinfo is None:
        return dt.isoformat()
    return dt.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def str_to_datetime(s: str) -> datetime:
    """Reads an ISO-8601 time, with or without a zone and a fraction.

    Raises:
        ValueError: if the text is no time.
    """
    # CPython 3.10 reads neither `Z` nor a fraction of any other length.
    text = _FRACTION.sub(lambda match: "." + match[1][:6].ljust(6, "0"), s.strip())
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# JSON


def json_default(obj: Any) -> Any:
    """The JSON form of a value that JSON has none for: the `default` of `json.dumps`.

    Bytes become `{"__llmeter_bytes__": "<base64>"}`, times ISO-8601, paths POSIX strings, and
    anything else its `str`, or null if that fails. Envelopes are made by `dump_object`.
    """
    match obj:
        case bytes():
            return {BYTES: base64.b64encode(obj).decode("ascii")}
        case datetime():
            return datetime_to_str(obj)
        case date() | time():
            return obj.isoformat()
        case _ if _is_path(obj):
            return _posix(obj)
        case _:
            try:
                return str(obj)
            except Exception:
                return None


def bytes_decoder(dct: dict[str, Any]) -> Any:
    """Turns `{"__llmeter_bytes__": "<base64>"}` back into bytes: the `object_hook` of `json.loads`.

    Any other object is returned as it is.
    """
    if len(dct) == 1 and BYTES in dct:
        return base64.b64decode(dct[BYTES])
    return dct


def restore_dataclass_types(cls: type, data: dict[str, Any]) -> None:
    """Restores, in place, the values of fields that a dataclass declares as times or bytes.

    Nested values, like those of a payload, stay as they are, and so does a text that is no time.
    """
    for name, members in _declared_types(cls).items():
        value = data.get(name)
        if isinstance(value, str) and datetime in members:
            try:
                data[name] = str_to_datetime(value)
            except ValueError:
                continue
        elif isinstance(value, dict) and bytes in members:
            data[name] = bytes_decoder(value)


@functools.lru_cache(maxsize=64)
def _declared_types(cls: type) -> dict[str, tuple[Any, ...]]:
    """The types that each field of a dataclass may have."""
    names = [field.name for field in dataclasses.fields(cls)]
    try:
        hints = typing.get_type_hints(cls)
    except NameError:
        hints = {field.name: _hint(cls, field.type) for field in dataclasses.fields(cls)}
    return {name: _members(hints[name]) for name in names}


def _hint(cls: type, annotation: Any) -> Any:
    """A field's type, `None` if its annotation names something that only type checkers know."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, vars(sys.modules[cls.__module__]))
    except NameError:
        return None


def _members(hint: Any) -> tuple[Any, ...]:
    """The types of a union; any other type alone."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union:
        return typing.get_args(hint)
    return (hint,)


# Objects


class Serializable:
    """Makes a class savable by the arguments of its constructor.

    Every named parameter `x` of `__init__` is read from the attribute `x` or else `_x`; those that
    are found on neither are left out, as are `*args` and `**kwargs`. Dataclasses work as they are.
    Override `_get_llmeter_state` and `_set_llmeter_state` for anything else.

    Example:
        >>> class Stamp(Serializable):
        ...     def __init__(self, text: str):
        ...         self.text = text
        >>> dump_object(Stamp("paid"))["__llmeter_state__"]
        {'text': 'paid'}
    """

    def _get_llmeter_state(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values, without the class."""
        state: dict[str, Any] = {}
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name == "self" or parameter.kind in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                continue
            for attribute in (name, f"_{name}"):
                if hasattr(self, attribute):
                    state[name] = _serialize_value(getattr(self, attribute))
                    break
        return state

    def _set_llmeter_state(self, state: dict[str, Any]) -> None:
        """Fills a bare instance, by default by its constructor."""
        arguments = {name: _deserialize_value(value) for name, value in state.items()}
        type(self).__init__(self, **arguments)

    def save_to_file(self, path: AnyPath) -> Path:
        """Writes the object to a JSON file and returns its path. Missing folders are made.

        Raises:
            TypeError: if part of the object cannot be saved.
        """
        file = ensure_path(path)
        text = json.dumps(dump_object(self), indent=4, default=json_default)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    @classmethod
    def load_from_file(cls, path: AnyPath) -> Self:
        """Reads an object of the class that the file names."""
        loaded: Self = load_object(json.loads(ensure_path(path).read_text(encoding="utf-8")))
        return loaded


def allow_module(name: str) -> None:
    """Lets files name classes of a module that has not been imported, and of those inside it.

    Such a file then imports it. Allow only what you would import yourself.
    """
    _allowed_modules.add(name)


def dump_object(obj: Any) -> dict[str, Any]:
    """The envelope of an object.

    Its state is what `_get_llmeter_state` gives, else the fields of a dataclass, else the public
    attributes. Tokenizers of tiktoken and Hugging Face are saved by their name.
    """
    cls = type(obj)
    if hasattr(obj, "_get_llmeter_state"):
        state = obj._get_llmeter_state()
        if not isinstance(state, dict):
            # A stand-in that has every method, but no state.
            state = {}
    elif (foreign := _foreign_name(cls.__module__)) and hasattr(obj, foreign):
        state = {foreign: getattr(obj, foreign)}
    elif dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        state = dataclasses.asdict(obj)
    else:
        attributes: dict[str, Any] = getattr(obj, "__dict__", {})
        state = {name: value for name, value in attributes.items() if not name.startswith("_")}
    return {CLASS: f"{cls.__module__}.{cls.__qualname__}", STATE: state}


def load_object(data: dict[str, Any]) -> Any:
    """Builds the object that an envelope describes.

    Raises:
        KeyError: if the data is no envelope.
        ImportError: if its module has neither been imported nor allowed with `allow_module`.
        AttributeError: if the module has no such class.
        TypeError: if it is a class that frees what it holds, which a file cannot give it.
    """
    path, state = data[CLASS], data[STATE]
    if foreign := _foreign_name(path):
        return _load_foreign(path, state[foreign])
    cls = _find_class(path)
    obj = cls.__new__(cls)
    if hasattr(obj, "_set_llmeter_state"):
        obj._set_llmeter_state(state)
    elif hasattr(cls, "__del__"):
        raise TypeError(f"a saved object is of the class {path!r}, which is none to be saved")
    else:
        for name, value in state.items():
            setattr(obj, name, _deserialize_value(value))
    return obj


def _find_class(path: str) -> Any:
    """The class of a path, whose module is imported only if that is allowed."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if name not in sys.modules:
            if not any(name == allowed or name.startswith(allowed + ".") for allowed in _allowed_modules):
                continue
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name and (name == error.name or name.startswith(error.name + ".")):
                    continue
                raise
        found: Any = sys.modules[name]
        for part in parts[end:]:
            found = getattr(found, part)
        if not isinstance(found, type):
            raise AttributeError(f"{path!r} in a saved object is no class")
        return found
    module = ".".join(parts[:-1])
    raise ImportError(
        f"a saved object is of the class {path!r}, whose module is not imported: import it before, "
        f"or call llmeter.serialization.allow_module({module!r})",
        name=module,
    )


def _foreign_name(path: str) -> str | None:
    """The attribute by which a tokenizer of another package is restored."""
    package = path.partition(".")[0]
    return {"tiktoken": "name", "transformers": "name_or_path"}.get(package)


def _load_foreign(path: str, name: str) -> Any:
    from .tokenizers import Tokenizer

    return Tokenizer.load({"tokenizer_module": path.partition(".")[0], "name": name})


def _is_path(value: Any) -> bool:
    return isinstance(value, os.PathLike) or hasattr(value, "as_posix")


def _posix(path: Any) -> str:
    if hasattr(path, "as_posix"):
        return str(path.as_posix())
    return str(os.fspath(path)).replace(os.sep, "/")


def _serialize_value(val: Any) -> Any:
    """A value as JSON, with envelopes for objects in it.

    Raises:
        TypeError: if it is of a type that cannot be restored.
    """
    match val:
        case None | bool() | int() | float() | str():
            return val
        case bytes() | datetime():
            return json_default(val)
        case dict():
            return {key: _serialize_value(item) for key, item in val.items()}
        case list() | tuple():
            return [_serialize_value(item) for item in val]
        case _ if hasattr(val, "_get_llmeter_state"):
            return dump_object(val)
        case _ if _is_path(val):
            return _posix(val)
        case _:
            raise TypeError(
                f"Cannot serialize a value of type {type(val).__name__}: let its class inherit from "
                "llmeter.serialization.Serializable, or use JSON values, bytes, times, paths and "
                "lists and dicts of them"
            )


def _deserialize_value(val: Any) -> Any:
    """The inverse of `_serialize_value`."""
    match val:
        case str():
            return str_to_datetime(val) if _UTC_TEXT.fullmatch(val) else val
        case dict() if CLASS in val and STATE in val:
            return load_object(val)
        case dict() if len(val) == 1 and BYTES in val:
            return bytes_decoder(val)
        case dict():
            return {key: _deserialize_value(item) for key, item in val.items()}
        case list() | tuple():
            return [_deserialize_value(item) for item in val]
        case _:
            return val
