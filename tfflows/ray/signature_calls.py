"""Requests to the signatures of a SavedModel: checked one by one, run together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfflows.backend import rng
from tfflows.backend.compilation import ROW_SIZES
from tfflows.utils.suggest import nearest

_WARM_SIZES = ROW_SIZES[:3]


@dataclasses.dataclass(frozen=True)
class SignatureCall:
    """A request whose inputs fit its signature.

    Attributes:
        signature: its name.
        inputs: arrays by name.
        rows: rows of its answer.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    rows: int


class SignatureCalls:
    """The signatures of a SavedModel.

    Args:
        signatures: of a SavedModel that `Flow.export` wrote, by name.
        max_rows: rows of a request at most.
    """

    def __init__(self, signatures: Mapping[str, Any], max_rows: int):
        self._functions = dict(signatures)
        self._specs = {name: f.structured_input_signature[1] for name, f in signatures.items()}
        self._max_rows = max_rows

    def describe(self) -> dict[str, Any]:
        """Shapes of the inputs and outputs of each signature, null for the number of rows."""
        return {
            name: {
                "inputs": {key: list(spec.shape) for key, spec in self._specs[name].items()},
                "outputs": {
                    key: list(spec.shape) for key, spec in function.structured_outputs.items()
                },
            }
            for name, function in self._functions.items()
        }

    def check(self, signature: str, inputs: Any) -> SignatureCall:
        """A call of what a client sent; KeyError for no such signature, ValueError for the rest.

        `sample` may leave out `temperature`, which is 1 then, and `seed`, which is drawn then; it
        takes one integer as a seed too.
        """
        if signature not in self._specs:
            raise KeyError(
                f"There is no signature {signature!r} among {sorted(self._specs)}"
                f"{nearest(signature, self._specs)}"
            )
        specs = self._specs[signature]
        if not isinstance(inputs, Mapping):
            raise ValueError(f"Expected an object of the inputs {sorted(specs)}")
        if "num_samples" in specs:
            inputs = _with_defaults(inputs)
        if set(inputs) != set(specs):
            raise ValueError(
                f"{signature} requires the inputs {sorted(specs)}. Received: {sorted(inputs)}"
            )
        arrays = {name: _as_array(name, inputs[name], specs[name]) for name in specs}
        return SignatureCall(signature, arrays, self._count_rows(arrays))

    def _count_rows(self, arrays):
        counts = {k: len(array) for k, array in arrays.items() if k != "seed" and array.ndim}
        if "num_samples" in arrays:
            rows = int(arrays["num_samples"])
            if rows < 0 or not arrays["temperature"] >= 0:
                raise ValueError("num_samples and temperature must be >= 0")
            if counts.get("condition") != 1:  # one for all
                counts["num_samples"] = rows
        else:
            rows = max(counts.values())
        if len(set(counts.values())) > 1:
            raise ValueError(f"Expected as many rows of each input. Received: {counts}")
        if rows > self._max_rows:
            raise ValueError(f"A request may have {self._max_rows:,} rows. Received: {rows:,}")
        return rows

    def joins(self, call: SignatureCall) -> bool:
        """Whether calls of this signature can be run together: each input has an axis of rows."""
        shapes = [spec.shape for spec in self._specs[call.signature].values()]
        return all(shape.rank and shape[0] is None for shape in shapes)

    def run(self, calls: Sequence[SignatureCall]) -> list[dict[str, np.ndarray]]:
        """The outputs of each call; those of one signature that `joins` are run together."""
        answers: list[dict[str, np.ndarray]] = [{} for _ in calls]
        for signature in dict.fromkeys(call.signature for call in calls):
            places = [i for i, call in enumerate(calls) if call.signature == signature]
            chosen = [calls[i] for i in places]
            if len(chosen) == 1:
                answers[places[0]] = self._call(signature, chosen[0].inputs)
                continue
            joined = {
                name: np.concatenate([call.inputs[name] for call in chosen])
                for name in self._specs[signature]
            }
            ends = np.cumsum([call.rows for call in chosen])[:-1]
            for name, values in self._call(signature, joined).items():
                for place, part in zip(places, np.split(values, ends), strict=True):
                    answers[place][name] = part
        return answers

    def warm_up(self) -> None:
        """Call each signature for a few numbers of rows, because a first call is slow."""
        for name, specs in self._specs.items():
            for size in _WARM_SIZES:
                values = {"num_samples": size, "temperature": 1}
                inputs = {
                    key: np.full(
                        [size if side is None else side for side in spec.shape],
                        values.get(key, 0),
                        spec.dtype.as_numpy_dtype,
                    )
                    for key, spec in specs.items()
                }
                self._call(name, inputs)

    def _call(self, signature, inputs):
        import tensorflow as tf

        outputs = self._functions[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


def _with_defaults(inputs):
    inputs = {"temperature": 1.0, "seed": None, **inputs}
    seed = inputs["seed"]
    if seed is None or isinstance(seed, int):
        inputs["seed"] = rng.make_seed(seed)
    return inputs


def _as_array(name, value, spec):
    """The value in the dtype of its spec, or ValueError."""
    shape = f"({', '.join('n' if side is None else str(side) for side in spec.shape)})"
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        message = f"Expected `{name}` to have shape {shape}. Received: rows of several lengths"
        raise ValueError(message) from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"Expected `{name}` to be numbers. Received: {array.dtype.name}")
    if not spec.shape.is_compatible_with(array.shape):
        raise ValueError(f"Expected `{name}` to have shape {shape}. Received: {array.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(spec.dtype.as_numpy_dtype)
    if spec.dtype.is_integer and not np.array_equal(cast, array):
        raise ValueError(f"Expected `{name}` to be whole numbers of {spec.dtype.name}")
    if not np.isfinite(cast).all():
        raise ValueError(f"Expected `{name}` to be finite numbers of {spec.dtype.name}")
    return cast
