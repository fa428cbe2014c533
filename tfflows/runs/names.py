"""What recipes call things, and which arguments these take."""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import pydantic

from tfflows import distributions, layers, models, networks, ode, vae
from tfflows.utils.errors import first_paragraph
from tfflows.utils.legacy import replaced_keyword
from tfflows.utils.schema import Section, readable_error
from tfflows.utils.suggest import nearest

Registry = Mapping[str, Any]  # a type, or a function that makes objects

MODELS = {
    "ffjord": models.FFJORD,
    "glow": models.Glow,
    "iaf": models.IAF,
    "jet": models.Jet,
    "made": models.MADEFlow,
    "maf": models.MAF,
    "multiscale-ffjord": models.MultiScaleFFJORD,
    "multiscale-realnvp": models.MultiScaleRealNVP,
    "nice": models.NICE,
    "realnvp": models.RealNVP,
    "nsf": models.NSF,
    "tarflow": models.TarFlow,
    "vae": vae.VAE,
}
BASES = {
    "autoregressive-mixture": distributions.AutoregressiveMixture,
    "standard-normal": distributions.StandardNormal,
    "standard-logistic": distributions.StandardLogistic,
    "diagonal-normal": distributions.DiagonalNormal,
    "student-t": distributions.StudentT,
    "mixture-of-gaussians": distributions.MixtureOfGaussians,
    "uniform": distributions.Uniform,
}
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
# Objects have the names of their classes. Layers: those whose arguments a recipe can write.
LAYERS = {
    name: getattr(layers, name)
    for name in (
        "ActNorm", "AdditiveLogRatio", "BatchNorm", "Dequantize", "Flatten", "InverseSoftplus",
        "LULinear", "Log", "Logit", "Ordered", "Pad", "Permute", "RadialGaussianize", "Reshape",
        "Reverse", "Squeeze", "Standardize", "Whiten",
    )
}  # fmt: skip
NETWORKS = {"DynamicsConvNet": networks.DynamicsConvNet, "DynamicsMLP": networks.DynamicsMLP}
SOLVERS = {"DormandPrince": ode.DormandPrince, "FixedStep": ode.FixedStep}
ENCODERS = {"ConvEncoder": vae.ConvEncoder, "MLPEncoder": vae.MLPEncoder}
DECODERS = {"ConvDecoder": vae.ConvDecoder, "MLPDecoder": vae.MLPDecoder}
# Arguments of models that are objects.
OBJECTS = {
    "network": NETWORKS,
    "solver": SOLVERS,
    "test_solver": SOLVERS,
    "encoder": ENCODERS,
    "decoder": DECODERS,
    "likelihood": vae.LIKELIHOODS,
    "posterior": vae.POSTERIORS,
    "prior": {
        "mixture-of-gaussians": distributions.MixtureOfGaussians,
        "student-t": distributions.StudentT,
        "vamp": vae.VampPrior,
        **{name: MODELS[name] for name in ("made", "maf", "nsf", "realnvp")},
    },
}

# Arguments that other keys of the recipe, or the data, set.
MODEL_RESERVED = ("event_shape", "condition_shape", "base", "preprocessing", "quantization_levels")
OPTIMIZER_RESERVED = (
    "learning_rate", "weight_decay", "clipnorm", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor",
)  # fmt: skip


def find_name(name: str, registry: Registry, path: str, source: str) -> type:
    """What has a name, or ValueError with the nearest names."""
    if name not in registry:
        hint = nearest(name, registry)
        raise ValueError(
            f"{source}: {path}: there is no {name!r}{hint}; there are {list(registry)}"
        )
    return registry[name]


def make_object(
    spec: Any,
    registry: Registry,
    dtype: str,
    path: str,
    source: str,
    event_shape: Sequence[int] = (),
) -> Any:
    """An object, such as a layer, network or solver, from "Name" or {"Name": {argument: value}}.

    Args:
        spec: what the recipe says.
        registry: classes by name, or functions that make objects.
        dtype: of a layer or network.
        path: of the spec in the recipe.
        source: what was read, such as a file's path.
        event_shape: of a model.

    Raises:
        ValueError: the spec is something else, or the class does not take the arguments.
    """
    pairs = {spec: None} if isinstance(spec, str) else spec
    if not isinstance(pairs, dict) or len(pairs) != 1:
        example = next(iter(registry))
        raise ValueError(
            f"{source}: {path}: Expected a name such as {example}, or a name with its arguments, "
            f"{{{example}: {{...}}}}. Received: {spec!r}"
        )
    name, arguments = next(iter(pairs.items()))
    cls = find_name(name, registry, path, source)
    path = f"{path}.{name}"
    arguments = {} if arguments is None else arguments
    is_model = isinstance(cls, type) and issubclass(cls, keras.Model)
    check_arguments(cls, arguments, path, source, MODEL_RESERVED if is_model else ())
    options: dict[str, Any] = {"event_shape": event_shape} if is_model else {}
    if isinstance(cls, type) and issubclass(cls, keras.layers.Layer):
        options["dtype"] = dtype
    try:
        return cls(**arguments, **options)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: {path}: {first_paragraph(error)}") from error


def check_arguments(
    cls: type, arguments: Mapping[str, Any], path: str, source: str, reserved: Sequence[str] = ()
) -> None:
    """Refuse arguments that a class does not have, or of another type than it names.

    Args:
        cls: what the arguments are for.
        arguments: values by name.
        path: of the arguments in the recipe.
        source: what was read, such as a file's path.
        reserved: arguments that the recipe must not set here.

    Raises:
        ValueError: names the path of each argument that is wrong.
    """
    reserved = ("self", "dtype", "name", "kwargs", *reserved)
    is_class = isinstance(cls, type)  # and not a function, such as that of a posterior
    for name in arguments if is_class and isinstance(arguments, dict) else ():
        message = replaced_keyword(cls, name)
        if message is not None:
            raise ValueError(f"{source}: {path}.{name}: {message}")
    fields = {}
    signature = inspect.signature(cls.__init__ if is_class else cls)
    for name, parameter in signature.parameters.items():
        if name not in reserved and parameter.kind is not parameter.VAR_KEYWORD:
            annotation = _annotation(parameter)
            fields[name] = (annotation if _is_checkable(annotation) else Any, None)
    schema = pydantic.create_model("arguments", __base__=Section, **fields)
    try:
        schema.model_validate(arguments)
    except pydantic.ValidationError as error:
        raise readable_error(error, schema, source, path) from error


def _annotation(parameter):
    """What a parameter may be, by its annotation or, as in Keras, by its default."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    default = type(parameter.default)
    return float if default is int else default


def _is_checkable(annotation) -> bool:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union, Sequence):
        parts = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        return all(_is_checkable(part) for part in parts)
    return annotation in (int, float, str, bool)
