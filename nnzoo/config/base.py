"""Base classes and types of config sections: strict immutable models, unions by name, and bounded numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


class Section(BaseModel):
    """A mapping of a config. Unknown keys and wrong types (`true` for a number) are errors; sections are immutable."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    python_only: ClassVar[bool] = False
    """Whether the section can be chosen only from Python, not in a file."""
    sparse: ClassVar[bool] = False
    """Whether keys that are null are omitted when the section is written."""


def _to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _to_int(value: object) -> object:
    """Converts integral floats such as `1e3`, which YAML 1.2 reads as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Items = Annotated[tuple[T, ...], BeforeValidator(_to_tuple)]
# Bounds come before the conversion in Annotated; otherwise they would be missing from the JSON Schema.
INTEGER = BeforeValidator(_to_int)
Count = Annotated[int, Field(ge=1, le=1_000_000_000), INTEGER]
Natural = Annotated[int, Field(ge=0, le=1_000_000_000), INTEGER]
Seed = Annotated[int, Field(ge=0, lt=2**63), INTEGER]
# About the range of float32; torch raises errors for larger numbers.
LARGEST = 1e38
Real = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Probability = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class ByName:
    """Marks a union of sections that are distinguished by their `name`.

    `model: mlp` is read as `model: {name: mlp}`, and a mapping without a name takes the default one.

    Attributes:
        term: The noun for a member in messages, such as "an optimizer".
        default: The name of a mapping without `name`; None if the name is required.
    """

    term: str
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def expand(value: object) -> object:
            if isinstance(value, str):
                return {"name": value}
            if isinstance(value, dict) and "name" not in value and self.default is not None:
                return {"name": self.default, **value}
            return value

        return core_schema.no_info_before_validator_function(expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        union = handler(schema)
        mapping = handler.resolve_ref_schema(union)["discriminator"]["mapping"]
        needs = {name: handler.resolve_ref_schema({"$ref": ref}).get("required", []) for name, ref in mapping.items()}
        return {"anyOf": [union, {"enum": [name for name, keys in needs.items() if set(keys) <= {"name"}]}]}


def members(union: Any) -> dict[str, type[Section]]:
    """Returns the sections of a union by name, in the order of the union, which is the list of all sections."""
    found: dict[str, type[Section]] = {}
    for member in get_args(get_args(union)[0]):
        for name in get_args(member.model_fields["name"].annotation):
            found[name] = member
    return found


def listed(union: Any) -> dict[str, type[Section]]:
    """Returns by name the sections of a union that a config file can choose."""
    return {name: member for name, member in members(union).items() if not member.python_only}


def _shortened(section: Section, values: dict[str, Any]) -> Any:
    """Returns the name of a section that has no other fields; otherwise its values."""
    return values["name"] if set(type(section).model_fields) == {"name"} else values


def dump(value: Any) -> Any:
    """Returns plain values for YAML or JSON: tuples become lists, and sections with only a name become that name."""
    if isinstance(value, Section):
        fields = sorted(type(value).model_fields, key=lambda key: key != "name")
        kept = [key for key in fields if not (value.sparse and getattr(value, key) is None)]
        return _shortened(value, {key: dump(getattr(value, key)) for key in kept})
    if isinstance(value, dict):
        return {key: dump(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [dump(item) for item in value]
    return value


def fields_of(section: Section, *without: str) -> dict[str, Any]:
    """Returns the values of a section by field, except `name` and the fields in `without`."""
    return {key: getattr(section, key) for key in type(section).model_fields if key not in ("name", *without)}
