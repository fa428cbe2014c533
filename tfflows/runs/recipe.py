"""Training recipes: one YAML file says data, preprocessing, model, optimizer and training.

A recipe is checked before anything runs; every error names the path of its key.
"""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tfflows import distributions, models
from tfflows.flow import Flow
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.errors import first_paragraph
from tfflows.utils.schema import Section, readable_error
from tfflows.utils.suggest import nearest

FORMAT = 1

MODELS = {
    "ffjord": models.FFJORD,
    "glow": models.Glow,
    "iaf": models.IAF,
    "jet": models.Jet,
    "made": models.MADE,
    "maf": models.MAF,
    "multiscale-ffjord": models.MultiScaleFFJORD,
    "multiscale-realnvp": models.MultiScaleRealNVP,
    "nice": models.NICE,
    "realnvp": models.RealNVP,
    "nsf": models.NSF,
}
BASES = {
    "autoregressive-mixture": distributions.AutoregressiveMixture,
    "standard-normal": distributions.StandardNormal,
    "standard-logistic": distributions.StandardLogistic,
    "diagonal-normal": distributions.DiagonalNormal,
    "mixture-of-gaussians": distributions.MixtureOfGaussians,
}
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}

Count = Annotated[int, pydantic.Field(ge=1)]
Fraction = Annotated[float, pydantic.Field(gt=0, lt=1)]


class Data(Section):
    """What to train on: a name or file that `tfflows.datasets.load` takes, and its arguments."""

    name: str
    dir: str | None = None
    conditional: bool = False
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class Preprocessing(Section):
    """Arguments that the model gives to its first layers; left out, its defaults hold.

    Discrete data are always dequantized, by their own number of levels.
    """

    logit: Annotated[float, pydantic.Field(gt=0, lt=0.5)] | None = None
    standardize: bool = False
    whiten: bool = False
    radial: bool = False


class Part(Section):
    """A model or a base distribution by name, and its arguments."""

    name: str
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)


class Optimizer(Section):
    """A Keras optimizer and its schedule.

    `warmup_steps` rise linearly to `learning_rate`; "cosine" then falls to `final_fraction` of it
    at the last step. `weight_decay` is decoupled and applies to kernels only. `ema` is the momentum
    of an average of the weights, which validation and the best checkpoint use.
    """

    name: Literal["adam", "adamax", "lion", "nadam", "rmsprop", "sgd"] = "adam"
    learning_rate: Annotated[float, pydantic.Field(gt=0)] = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    final_fraction: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.0
    weight_decay: Annotated[float, pydantic.Field(ge=0)] = 0.0
    clipnorm: Annotated[float, pydantic.Field(gt=0)] | None = None
    ema: Fraction | None = None
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)


class Training(Section):
    """How long, in which batches, and when to stop.

    An epoch is `steps_per_epoch` batches (one pass over the data by default), and ends with a
    validation and a checkpoint. `early_stopping` is the number of epochs without a better
    validation nll after which training stops. `validation_rows` is how many rows a validation
    takes, evenly spread, where all of them would take long: solvers with an exact trace.
    `objective` and `time_exponent` are those of `Flow.compile`.
    """

    epochs: Count
    batch_size: Count = 256
    steps_per_epoch: Count | None = None
    early_stopping: Count | None = None
    validation_rows: Count | None = None
    objective: Literal["likelihood", "flow_matching", "ot_flow_matching"] = "likelihood"
    time_exponent: Annotated[float, pydantic.Field(gt=0)] = 1.0


class Backend(Section):
    """How the steps are run; changes speed, and numbers within rounding."""

    jit: bool = True
    mixed_precision: bool = False
    strategy: Literal["mirrored"] | None = None
    steps_per_execution: Count = 1

    @pydantic.model_validator(mode="after")
    def _fits_together(self):
        if self.strategy is not None and self.jit:
            raise ValueError(
                f"XLA does not compile under a strategy: set jit to false. "
                f"Received: strategy {self.strategy!r}, jit true"
            )
        return self


class Recipe(Section):
    """All that a training run needs to be repeated."""

    format: int = FORMAT
    name: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+$")]
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**32)] = 0
    data: Data
    preprocessing: Preprocessing = Preprocessing()
    model: Part
    base: Part | None = None
    optimizer: Optimizer = Optimizer()
    training: Training
    backend: Backend = Backend()

    def write(self, path: str | Path) -> None:
        """Write the recipe as YAML."""
        with replaced_on_success(path) as temporary:
            _yaml().dump(self.model_dump(exclude_unset=True), temporary)


def read_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a YAML file.
        settings: "a.b=c", each replaces the value at a key's path; c is YAML.

    Raises:
        ValueError: the file is no YAML, or a key or value cannot be; all wrong keys are named.
        OSError: the file cannot be read.
    """
    try:
        content = _yaml().load(Path(path).read_text())
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} wants keys such as data, model and training")
    for setting in settings:
        _apply(content, setting)
    return make_recipe(content, str(path))


def make_recipe(content: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """A checked recipe from nested dicts; ValueError names the path of each key that is wrong."""
    version = content.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{source}: format: this tfflows reads recipes of format {FORMAT}. "
            f"Received: {version}, of a newer version; update tfflows"
        )
    try:
        recipe = Recipe.model_validate(content)
    except pydantic.ValidationError as error:
        raise readable_error(error, Recipe, source) from error
    _check_part(recipe.model, MODELS, "model", source)
    model = MODELS[recipe.model.name]
    _check_arguments(model, recipe.model.arguments, "model.arguments", source, MODEL_RESERVED)
    given = recipe.preprocessing.model_fields_set
    _check_arguments(model, dict.fromkeys(given), "preprocessing", source, types_too=False)
    if recipe.base is not None:
        _check_part(recipe.base, BASES, "base", source)
        base = BASES[recipe.base.name]
        _check_arguments(base, recipe.base.arguments, "base.arguments", source)
    optimizer = OPTIMIZERS[recipe.optimizer.name]
    arguments = recipe.optimizer.arguments
    _check_arguments(optimizer, arguments, "optimizer.arguments", source, OPTIMIZER_RESERVED)
    return recipe


# Arguments that other keys of the recipe, or the data, set.
MODEL_RESERVED = ("event_shape", "condition_shape", "base", "levels", *Preprocessing.model_fields)
OPTIMIZER_RESERVED = (
    "learning_rate", "weight_decay", "clipnorm", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor",
)  # fmt: skip


def _check_part(part, registry, path, source):
    if part.name not in registry:
        hint = nearest(part.name, registry)
        raise ValueError(
            f"{source}: {path}.name: there is no {part.name!r}{hint}; there are {list(registry)}"
        )


def _check_arguments(function, arguments, path, source, reserved=(), types_too=True):
    """Refuse arguments that the function does not have, or of another type than it names."""
    reserved = {"self", "dtype", "name", "kwargs", *reserved}
    fields = {}
    for name, parameter in inspect.signature(function.__init__).parameters.items():
        if name in reserved or parameter.kind is parameter.VAR_KEYWORD:
            continue
        annotation = _annotation(parameter) if types_too else Any
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


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Nested dicts from "a.b=c"; c is YAML."""
    content = {}
    for setting in settings:
        _apply(content, setting)
    return content


def _apply(content, setting):
    path, equals, text = setting.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ValueError(f"A setting wants KEY.KEY=VALUE. Received: {setting!r}")
    for depth, key in enumerate(keys[:-1]):
        if content.get(key) is None:
            content[key] = {}
        content = content[key]
        if not isinstance(content, dict):
            parent = ".".join(keys[: depth + 1])
            raise ValueError(f"{setting}: {parent} is a value and has no keys")
    try:
        content[keys[-1]] = _yaml().load(text)
    except YAMLError as error:
        raise ValueError(f"{setting}: the value is no YAML") from error


def _yaml():
    # YAML 1.2: 1e-3 is a number, "no" a string, and a key given twice an error.
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    return yaml


def make_flow(recipe: Recipe, info) -> Flow:
    """The untrained model of a recipe for data described by a `DatasetInfo`.

    Raises:
        ValueError: the arguments do not fit each other or the data.
    """
    arguments = {**recipe.model.arguments}
    given = recipe.preprocessing.model_fields_set
    arguments |= {name: getattr(recipe.preprocessing, name) for name in given}
    if "levels" in inspect.signature(MODELS[recipe.model.name].__init__).parameters:
        arguments["levels"] = info.levels
    if recipe.data.conditional:
        arguments["condition_shape"] = (info.num_classes,)
    dtype = "mixed_bfloat16" if recipe.backend.mixed_precision else "float32"
    try:
        if recipe.base is not None:
            arguments["base"] = BASES[recipe.base.name](**recipe.base.arguments, dtype=dtype)
        return MODELS[recipe.model.name](event_shape=info.event_shape, dtype=dtype, **arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{recipe.name}: model: {first_paragraph(error)}") from error


def make_optimizer(recipe: Recipe, total_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe whose schedule ends after `total_steps`."""
    section = recipe.optimizer
    peak, warmup = section.learning_rate, section.warmup_steps
    rate = peak
    if section.schedule == "cosine" or warmup:
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else peak,
            decay_steps=max(total_steps - warmup, 1),
            alpha=1.0 if section.schedule == "constant" else section.final_fraction,
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    return OPTIMIZERS[section.name](
        learning_rate=rate,
        weight_decay=section.weight_decay or None,
        clipnorm=section.clipnorm,
        use_ema=section.ema is not None,
        ema_momentum=section.ema or 0.99,
        **section.arguments,
    )
