"""Which classes and functions a saved config may name: ours, the user's, and few of Keras.

Keras calls what a config names: a `Lambda` of any function that Keras exports, with arguments from
the file, is a program. Its safe mode refuses some twenty functions; here nothing is taken that is
not listed.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import keras

# Each computes its output from its inputs and its own weights, and reads no file.
LAYERS = frozenset((
    "Activation", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization",
    "Bidirectional", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose",
    "Conv3D", "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D", "Cropping1D", "Cropping2D",
    "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU",
    "EinsumDense", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout",
    "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
    "GlobalMaxPooling3D", "GroupNormalization", "GroupQueryAttention", "Identity",
    "InputLayer", "LSTM", "LSTMCell", "LayerNormalization", "LeakyReLU", "Masking",
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum",
    "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization",
    "RNN", "ReLU", "RepeatVector", "Rescaling", "Reshape", "SeparableConv1D",
    "SeparableConv2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpectralNormalization", "StackedRNNCells", "Subtract",
    "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
))  # fmt: skip
# The operations of Keras that are arrays in and arrays out, as functional models hold them.
OPERATIONS = tuple(f"keras.src.ops.{name}" for name in ("linalg", "math", "nn", "numpy"))
# How Keras writes values that JSON does not have.
VALUES = frozenset({"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__"}) | {
    "__tensor__"
}
CURE = (
    "A class or function of your own must be registered (keras.saving.register_keras_serializable) "
    "and its module imported before loading, or be given in custom_objects=; if you trust the "
    "file's source as you trust a program, tfflows.load_model(path, unsafe=True) takes everything"
)


def check_config(config: Any, source: str, custom_objects: Mapping[str, Any] | None = None) -> None:
    """Refuse a config that names what is not listed; nothing of it is made or imported.

    Taken are what `register_keras_serializable` registered (the classes of tfflows, and those of
    the user's own modules), what `custom_objects` has, layers, networks, initializers,
    regularizers, constraints, optimizers, schedules and dtype policies of Keras by a list, and
    functions that are activations.

    Args:
        config: what JSON holds, as `keras.saving.serialize_keras_object` wrote it.
        source: what was read, for errors.
        custom_objects: the user's own classes and functions by name.

    Raises:
        ValueError: a class or function is not listed; it and its place are named.
    """
    own = {*(custom_objects or {}), *keras.saving.get_custom_objects()}
    listed = _listed()
    for place, entry in _objects(config, "config"):
        name = _refused(entry, own, listed)
        if name is not None:
            raise ValueError(
                f"{source}: {place}: Expected classes of tfflows or listed ones of Keras, and "
                f"activations as functions. Received: {name}. {CURE}"
            )


def _objects(value, place) -> Iterator[tuple[str, dict]]:
    """Every dict that Keras may take for an object, with its place."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield place, value
        for key, each in value.items():
            yield from _objects(each, f"{place}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _objects(each, f"{place}[{index}]")


def _listed() -> dict[str, frozenset[str]]:
    """Names of classes by the module that configs give for them."""

    def classes(module):
        return frozenset(name for name, value in vars(module).items() if inspect.isclass(value))

    policies = classes(keras.dtype_policies)
    return {
        "keras": frozenset({"Sequential", "DTypePolicy"}),
        "keras.constraints": classes(keras.constraints),
        "keras.dtype_policies": policies,
        "keras.initializers": classes(keras.initializers),
        "keras.layers": LAYERS,
        "keras.models": frozenset({"Sequential"}),
        "keras.optimizers": classes(keras.optimizers),
        "keras.optimizers.schedules": classes(keras.optimizers.schedules),
        "keras.random": frozenset({"SeedGenerator"}),
        "keras.regularizers": classes(keras.regularizers),
        "keras.src.models.functional": frozenset({"Functional"}),
    }


def _refused(entry, own, listed) -> str | None:
    """What an object's dict names, if that is not listed."""
    name, module = entry["class_name"], entry.get("module")
    if not isinstance(name, str):
        return f"a class_name that is not a text: {str(name)[:80]}"
    if name in VALUES:
        return None
    if name == "function":
        return _refused_function(entry.get("config"), module, own)
    registered = entry.get("registered_name", name)
    # Keras writes null for the modules of scripts and notebooks, and goes by the registered name.
    is_of_script = "module" in entry and isinstance(registered, str) and registered in own
    if module is None and not is_of_script:  # by the name, wherever it is, whatever is registered
        is_listed = name in own or any(name in names for names in listed.values())
    elif isinstance(registered, str) and registered in own:
        is_listed = True
    else:
        is_listed = module in OPERATIONS or name in listed.get(str(module), ())
    return None if is_listed else f"the class {f'{module}.' if module else ''}{name}"


def _refused_function(name, module, own):
    """Keras takes a registered function by this name, or else imports it from the module."""
    is_activation = inspect.isfunction(getattr(keras.activations, str(name), None))
    known = ("builtins", "keras.activations", "keras.ops")
    if isinstance(name, str) and (name in own or (module in known and is_activation)):
        return None
    return f"the function {f'{module}.' if module else ''}{name}"
