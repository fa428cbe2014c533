"""The structure of a layer: what makes two layers the same function of weights and constants."""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from tfflows.backend.constants import Constant, replaced_constants
from tfflows.backend.tensor_ops import Tensor

if TYPE_CHECKING:
    from tfflows.layers.flow_layer import FlowLayer


# Arguments of Keras layers that say nothing about what is computed from given weights.
_NO_PART = ("name", "dtype", "trainable", "activity_regularizer")
_NO_PART_ENDS = ("_initializer", "_regularizer", "_constraint")


def structure(layer: "FlowLayer") -> str | None:
    """Equal for layers that compute the same from equal weights and equal constants.

    It says the classes, their arguments but for names and initializers, and the shapes of events,
    weights and constants. None where that may not be all: a layer, or a part of it, is a user's, or
    it counts what it does (`ContinuousFlow`).

    Args:
        layer: a built layer.
    """
    try:
        what = _describe(layer)
    except _UnknownPart:
        return None
    weights = [(tuple(variable.shape), variable.dtype) for variable in layer.variables]
    constants = [(each.array.shape, str(each.array.dtype)) for each in layer._constants()]
    return repr([what, layer.event_shape, layer.condition_shape, weights, constants])


class _UnknownPart(Exception):
    """A layer has a part of which its arguments may not say everything."""


def _describe(value):
    """An argument as what `repr` tells apart: plain values, and the arguments of objects."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_describe(each) for each in value]
    cls = type(value)
    if inspect.isfunction(value) and _is_known(value) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    if not _is_known(cls) or inspect.isfunction(value):
        raise _UnknownPart
    replaced = value._structure_arguments() if hasattr(value, "_structure_arguments") else {}
    if replaced is None:
        raise _UnknownPart
    try:
        arguments = {
            name: _describe(replaced[name] if name in replaced else getattr(value, name))
            for name in _argument_names(cls)
        }
    except AttributeError as error:
        raise _UnknownPart from error
    return [f"{cls.__module__}.{cls.__name__}", getattr(value, "compute_dtype", None), arguments]


def _is_known(part):
    return part.__module__.partition(".")[0] in ("keras", "tfflows")


@functools.cache
def _argument_names(cls):
    """What the constructors of a class and of its parents take, below those of Keras' base."""
    parents = (
        cls.__mro__[: cls.__mro__.index(keras.layers.Layer)]
        if issubclass(cls, keras.layers.Layer)
        else cls.__mro__[:-1]
    )
    names = {
        name
        for parent in parents
        if "__init__" in vars(parent)
        for name, parameter in list(inspect.signature(vars(parent)["__init__"]).parameters.items())[
            1:
        ]
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    return sorted(
        name for name in names if name not in _NO_PART and not name.endswith(_NO_PART_ENDS)
    )


def can_be_scanned(layer: "FlowLayer", inverse: bool) -> bool:
    """Whether one layer may stand for others of its structure within a loop.

    Not where a call updates variables or adds losses, and not where weights are frozen.

    Args:
        layer: a built layer.
        inverse: the direction of the call.
    """
    has_generator = len(layer.variables) > len(layer.weights)
    parts = layer._flatten_layers()
    return (
        layer._can_be_scanned(inverse)
        and not has_generator
        and all(weight.trainable or weight.name == "adapted" for weight in layer.weights)
        and all(getattr(part, "activity_regularizer", None) is None for part in parts)
    )


def tensors_of(layers: Sequence["FlowLayer"]) -> list[Tensor]:
    """The current weights and constants of layers, in the order of `standing_for`."""
    return [
        tensor
        for layer in layers
        for tensor in (
            *(variable.value for variable in layer.variables),
            *(constant.value for constant in layer._constants()),
        )
    ]


@contextlib.contextmanager
def standing_for(layers: Sequence["FlowLayer"], tensors: Sequence[Tensor]) -> Iterator[None]:
    """Let layers stand for others of their structure, whose `tensors_of` are given.

    Raises:
        RuntimeError: a layer updated a variable or added a loss, which would be lost.
    """
    variables: list[tuple[keras.Variable, Any]] = []
    constants: dict[Constant, Any] = {}
    remaining = iter(tensors)
    for layer in layers:
        variables += [(variable, next(remaining)) for variable in layer.variables]
        constants |= {constant: next(remaining) for constant in layer._constants()}
    scope = keras.StatelessScope(state_mapping=variables, collect_losses=True)
    with scope, replaced_constants(constants):
        if scope.original_scope is not None:
            # A scope hides the one around it, which may have variables that are not these layers'.
            scope.state_mapping = {**scope.original_scope.state_mapping, **scope.state_mapping}
        before = dict(scope.state_mapping)
        yield
    after = scope.state_mapping
    if scope.losses or any(after[key] is not before.get(key) for key in after):
        names = [layer.name for layer in layers]
        raise RuntimeError(f"Expected layers without side effects. Received: one in {names}")
