"""Do the arguments of a `call` fit the handler's JSON schema?

Only as far as it can be said before running: a text with a placeholder may become anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatbot.engine.render import placeholders

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (Mapping,),
    "null": (type(None),),
}


def bad_arguments(args: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """The names of arguments that are missing, not declared, or of the wrong type."""
    declared = _mapping(schema.get("properties"))
    for name in schema.get("required", ()):
        if name not in args:
            yield str(name)
    for name, value in args.items():
        if name not in declared:
            if schema.get("additionalProperties", True) is False:
                yield name
        elif not _fits(value, declared[name], schema):
            yield name


def _fits(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    if not isinstance(schema, Mapping) or (
        isinstance(value, str) and any(True for _ in placeholders(value))
    ):
        return True
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _fits(value, _mapping(root.get("$defs")).get(name), root)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return any(_fits(value, one, root) for one in schema[several])
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    return _has_type(value, schema) and _fit_inside(value, schema, root)


def _has_type(value: Any, schema: Mapping[str, Any]) -> bool:
    wanted = str(schema.get("type"))
    if wanted not in _TYPES:
        return True
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])


def _fit_inside(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    if isinstance(value, list | tuple):
        long_enough = len(value) >= int(schema.get("minItems", 0))
        return long_enough and all(_fits(one, schema.get("items"), root) for one in value)
    if isinstance(value, Mapping):
        inner = {**schema, "$defs": root.get("$defs", {})}
        return next(bad_arguments(value, inner), None) is None
    return True


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
