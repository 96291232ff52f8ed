"""The document of the API (OpenAPI 3.1), made of the table of routes: so it cannot say less or more than that.

    HttpRoute(method, path, role, query, change, schema) -> paths/{path}/{method}
                                    `-> attrs classes     -> components/schemas

JSON Schema is the 2020-12 that OpenAPI 3.1 takes as it is: `null` is a type among others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import attrs

from gateway.admin.inspection import Role
from gateway.admin.routes import HttpRoute
from gateway.admin.v1.answers import Problem
from gateway.admin.v1.parameters import Cursor, Moment, parts_of
from gateway.base.json_codec import Json

PREFIX: Final = "/api/v1/"

_PLAIN: Final[dict[Any, dict[str, Json]]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Moment: {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "format": "date-time"}],
        "description": "Seconds since the epoch, a date and time (RFC 3339), or the time that has passed: 90s, 24h.",
    },
    Cursor: {"type": "string"},
    NoneType: {"type": "null"},
    object: {},
}


def document(routes: Iterable[HttpRoute]) -> dict[str, Json]:
    """The document of the routes below PREFIX."""
    paths: dict[str, Any] = {}
    schemas = Schemas()
    for route in routes:
        if route.path.startswith(PREFIX):
            path = route.path.replace(":path}", "}")
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gateway administration", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.known,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
            },
        },
    }


_DESCRIPTION: Final = (
    "Lists are paged: `next` of an answer is the parameter `next` of the question for the following page. Errors are "
    "problem details (RFC 9457). `x-role` is the role that a route needs, of viewer, operator and admin."
)


class Schemas:
    """Schemas by the name of their class, as they are referred to."""

    def __init__(self) -> None:
        self.known: dict[str, Json] = {}

    def of(self, wanted: Any) -> dict[str, Json]:
        """The schema of a type; that of a class is a reference."""
        if wanted in _PLAIN:
            return dict(_PLAIN[wanted])
        if get_origin(wanted) in (Union, UnionType):
            return {"anyOf": [self.of(one) for one in get_args(wanted)]}
        if get_origin(wanted) in (tuple, list):
            return {"type": "array", "items": self.of(get_args(wanted)[0])}
        if get_origin(wanted) is dict:
            return {"type": "object"}
        if isinstance(wanted, type) and issubclass(wanted, StrEnum):
            return {"type": "string", "enum": [str(one) for one in wanted]}
        return self._reference(wanted)

    def _reference(self, kind: Any) -> dict[str, Json]:
        name = kind.__name__
        if name not in self.known:
            self.known[name] = None  # it may hold itself
            self.known[name] = self.object_of(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def object_of(self, kind: Any) -> dict[str, Json]:
        """The schema of a class."""
        types = get_type_hints(kind)
        fields = attrs.fields(kind)
        properties: dict[str, Json] = {field.name: self.field(field, types[field.name]) for field in fields}
        required: list[Json] = [field.name for field in fields if field.default is attrs.NOTHING or not field.init]
        return {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": properties,
            **({"required": required} if required else {}),
        }

    def field(self, field: Any, wanted: Any) -> dict[str, Json]:
        """The schema of a field, with its description and range."""
        schema = self.of(wanted)
        told = (("description", "description"), ("least", "minimum"), ("most", "maximum"))
        return schema | {key: field.metadata[name] for name, key in told if field.metadata.get(name) is not None}


def _operation(route: HttpRoute, schemas: Schemas) -> dict[str, Json]:
    answer: dict[str, Json] = {"description": "The answer."}
    if route.schema is not None:
        answer["content"] = {"application/json": {"schema": schemas.of(route.schema)}}
    elif route.content:
        answer["content"] = {route.content: {"schema": {"type": "string"}}}
    operation: dict[str, Json] = {
        "summary": (route.answer.__doc__ or route.path).strip().splitlines()[0],
        "operationId": f"{route.method.lower()}{route.path.removeprefix(PREFIX.rstrip('/'))}",
        "x-role": route.role.title,
        "parameters": [*_parameters(route, schemas)],
        "responses": {"200": answer, "default": _problem(schemas)},
        "security": [] if route.role is Role.NOBODY else [{"token": []}, {"session": []}],
    }
    if route.change is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas.of(route.change)}},
        }
    return operation


def _parameters(route: HttpRoute, schemas: Schemas) -> Iterator[dict[str, Json]]:
    for name in route.pattern.groupindex:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if route.query is None:
        return
    types = get_type_hints(route.query)
    for field in attrs.fields(route.query):
        wanted, _ = parts_of(types[field.name])
        parameter: dict[str, Json] = {
            "name": field.name,
            "in": "query",
            "required": field.default is attrs.NOTHING,
            "description": str(field.metadata.get("description", "")),
            "schema": schemas.field(field, wanted),
        }
        yield parameter | ({"style": "form", "explode": False} if get_origin(wanted) is tuple else {})


def _problem(schemas: Schemas) -> dict[str, Json]:
    content: dict[str, Json] = {"application/problem+json": {"schema": schemas.of(Problem)}}
    return {"description": "The question or change was refused.", "content": content}
