"""What an algorithm's function takes and gives, read from its annotations: a strict model of the parameters, and
the JSON Schemas of both.

The schema is published for the front end; the model has the last word where the body runs. Runs no function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Annotated, Any, Final, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from slotwise.context import is_context
from slotwise.errors import JobError, SlotwiseError, text_of

UNTYPEABLE: Final = (NameError, TypeError, AttributeError, PydanticSchemaGenerationError, PydanticUserError)


def unusable(name: str, why: str) -> SlotwiseError:
    """For an algorithm that cannot be, whatever job asks for it."""
    return SlotwiseError("invalid-algorithms", f"algorithm {name!r} cannot be used: {why}")


class Signature:
    """Of the function of one algorithm, called `name` in errors."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self._name = name

    @cached_property
    def context_parameter(self) -> str | None:
        """The parameter that gets the `Context`; None where the function asks for none."""
        given = inspect.signature(self._function).parameters
        wanted = [name for name, one in given.items() if is_context(self._hint(one.annotation))]
        if len(wanted) > 1:
            raise self._unusable(f"it asks for the Context twice: {', '.join(wanted)}")
        return wanted[0] if wanted else None

    @cached_property
    def _declared(self) -> dict[str, inspect.Parameter]:
        """The parameters that a job gives by name. Raises: SlotwiseError `invalid-algorithms`."""
        declared, asked = {}, self.context_parameter  # found once, and not in each job's process
        for name, parameter in inspect.signature(self._function).parameters.items():
            if name == asked:
                continue
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                raise self._unusable(f"parameter {name!r} must be one that can be given by name (no * or /)")
            if parameter.annotation is parameter.empty:
                raise self._unusable(f"parameter {name!r} needs a type annotation")
            declared[name] = parameter
        return declared

    @cached_property
    def _names(self) -> list[str]:
        return [name for name, one in self._declared.items() if one.kind != one.VAR_KEYWORD]

    @cached_property
    def _fields(self) -> dict[str, str]:
        """The model's field of each name: another one where a model has an attribute of that name."""
        return {name: _field_name(at, name) for at, name in enumerate(self._names)}

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The strict model of the parameters. Raises: SlotwiseError `invalid-algorithms`."""
        try:
            hints = get_type_hints(self._function, include_extras=True)
            extra = next((name for name in self._declared if name not in self._fields), None)
            fields = {field: self._field(name, hints[name]) for name, field in self._fields.items()}
            model: type[BaseModel] = create_model(
                f"{self._name}Parameters",
                __base__=_Closed if extra is None else _open(hints[extra]),
                **fields,  # type: ignore[call-overload]
            )
            model.model_json_schema()  # a type may have a model, and no schema
        except UNTYPEABLE as error:
            raise self._unusable(self._culprit(error)) from error
        return model

    def _field(self, name: str, hint: Any) -> tuple[Any, Any]:
        default = self._declared[name].default
        given = ... if default is inspect.Parameter.empty else default
        return (hint if self._fields[name] == name else Annotated[hint, Field(alias=name)]), given

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters. Raises: SlotwiseError `invalid-algorithms`."""
        return self.parameters.model_json_schema()

    def result_schema(self) -> dict[str, Any]:
        """JSON Schema of the result; empty where the annotation says nothing that JSON Schema can say."""
        try:
            return self.result.json_schema(mode="serialization")
        except (PydanticSchemaGenerationError, PydanticUserError):
            return {}

    @cached_property
    def result(self) -> TypeAdapter[Any]:
        """The type of what the function returns. Raises: SlotwiseError `invalid-algorithms`."""
        try:
            return TypeAdapter(get_type_hints(self._function, include_extras=True).get("return", Any))
        except (PydanticSchemaGenerationError, PydanticUserError):
            return TypeAdapter(Any)
        except UNTYPEABLE as error:
            raise self._unusable(self._culprit(error)) from error

    def bind(self, args: Sequence[Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The values to call the function with. Raises: JobError `bad_params`.

        `args` are positional ones, as a stock arq client may send; JSON rules decide what is valid.
        """
        names = self._names
        if len(args) > len(names) or set(names[: len(args)]) & set(params):
            raise JobError("bad_params", f"{self._name} takes {', '.join(names) or 'no parameters'}")
        try:
            given = to_json(dict(zip(names, args, strict=False)) | dict(params))
            model = self.parameters.model_validate_json(given, strict=True)  # nested models as well
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            text = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
            raise JobError("bad_params", text) from None
        except PydanticSerializationError as error:
            raise JobError("bad_params", str(error)) from None
        return {name: getattr(model, field) for name, field in self._fields.items()} | (model.model_extra or {})

    def _culprit(self, error: Exception) -> str:
        """Which annotation it is that nothing can be made of, and why."""
        for name, parameter in self._declared.items():
            fault = self._fault(name, parameter.annotation)
            if fault is not None:
                return f"the type of parameter {name!r} cannot be used: {_line(fault)}"
        hint = inspect.signature(self._function).return_annotation
        fault = None if hint is inspect.Signature.empty else self._fault("return", hint)
        what = "its parameters" if fault is None else "the type of its result"
        return f"{what} cannot be used: {_line(fault or error)}"

    def _fault(self, name: str, annotation: Any) -> Exception | None:
        hint = self._hint(annotation)
        if isinstance(hint, Exception):
            return hint
        try:
            if name != "return":
                TypeAdapter(hint).json_schema()
        except UNTYPEABLE as error:
            return error
        return None

    def _hint(self, annotation: Any) -> Any:
        """The type that one annotation means; an exception where it means none."""
        one = SimpleNamespace(__annotations__={"it": annotation})
        try:
            names = getattr(inspect.unwrap(self._function), "__globals__", {})
            return get_type_hints(one, names, include_extras=True)["it"]
        except UNTYPEABLE as error:
            return error

    def _unusable(self, why: str) -> SlotwiseError:
        code = getattr(inspect.unwrap(self._function), "__code__", None)
        at = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return unusable(self._name, why + at)


class _Closed(BaseModel):
    """What every model of parameters is."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=False,
        protected_namespaces=(),
    )


def _open(hint: Any) -> type[BaseModel]:
    """A model for `**name: hint`: parameters of any other name as well, of that type."""
    body = {"__annotations__": {"__pydantic_extra__": dict[str, hint]}, "__module__": __name__}
    return type("Open", (_Closed,), body | {"model_config": ConfigDict(extra="allow")})


def _field_name(at: int, name: str) -> str:
    return f"p{at}_" if name.startswith(("_", "model_")) or hasattr(BaseModel, name) else name


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {text_of(error)}".partition("\n")[0]
