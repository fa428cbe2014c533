"""Training recipes: one YAML file says data, preprocessing, model, optimizer and training.

A recipe is checked before anything runs; every error names the path of its key. Layers, networks
and solvers have the names of their classes:

    format: 3
    name: small
    data: {name: moons}
    preprocessing: [Standardize, {RadialGaussianize: {num_bins: 16}}]
    model:
      name: ffjord
      arguments:
        network: {DynamicsMLP: {hidden_units: [64, 64]}}
        solver: {FixedStep: {method: rk4, num_steps: 8}}
    training: {epochs: 2}

A recipe without `format` is one of format 1, whose recipes did not say it, unless `preprocessing`
is a list. Recipes of earlier formats are read as what they meant, defaults included.
"""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from tfflows.runs.names import (
    BASES,
    LAYERS,
    MODEL_RESERVED,
    MODELS,
    OBJECTS,
    OPTIMIZER_RESERVED,
    OPTIMIZERS,
    check_arguments,
    find_name,
    make_object,
)
from tfflows.runs.settings import apply_setting, read_yaml, write_yaml
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.legacy import upgrade_recipe
from tfflows.utils.schema import Section, readable_error

FORMAT = 3

Count = Annotated[int, pydantic.Field(ge=1)]
Fraction = Annotated[float, pydantic.Field(gt=0, lt=1)]


def _one_message(value, check):
    """A union of a type and "auto" would give two."""
    try:
        return check(value)
    except pydantic.ValidationError as error:
        raise ValueError(f"{error.errors()[0]['msg']}, or 'auto'") from error


_Auto = pydantic.WrapValidator(_one_message)


class Data(Section):
    """What to train on: a name or file that `tfflows.datasets.load` takes, and its arguments."""

    name: str
    dir: str | None = None
    conditional: bool = False
    options: dict[str, Any] = pydantic.Field(default_factory=dict)


class Part(Section):
    """A base distribution by name, and its arguments."""

    name: str
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)


class Model(Part):
    """A model by name, its arguments, and where its first weights come from.

    `weights` names a trained flow of the same layers, as `tfflows.load_model` takes it: zoo:NAME,
    a .keras file or the folder of a run. None begins with random weights.
    """

    weights: str | None = None


class Optimizer(Section):
    """A Keras optimizer and its schedule.

    `warmup_steps` rise linearly to `learning_rate`; "cosine" then falls to `final_fraction` of it
    at the last step. `weight_decay` is decoupled and applies to kernels only. `ema` is the momentum
    of an average of the weights, which validation and the best checkpoint use. "auto" chooses
    `warmup_steps` and `ema` by the length of the run (`tfflows.runs.schedule.resolve_steps`).
    """

    name: Literal["adam", "adamax", "lion", "nadam", "rmsprop", "sgd"] = "adam"
    learning_rate: Annotated[float, pydantic.Field(gt=0)] = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[Annotated[int, pydantic.Field(ge=0)] | Literal["auto"], _Auto] = 0
    final_fraction: Annotated[float, pydantic.Field(ge=0, le=1)] = 0.0
    weight_decay: Annotated[float, pydantic.Field(ge=0)] = 0.0
    clipnorm: Annotated[float, pydantic.Field(gt=0)] | None = None
    ema: Annotated[Fraction | Literal["auto"], _Auto] | None = None
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)


class Training(Section):
    """How long, in which batches, and when to stop.

    An epoch is `steps_per_epoch` batches (one pass over the data by default), and ends with a
    validation and a checkpoint. `early_stopping` is the number of epochs without a better
    validation nll after which training stops. `validation_rows` is how many rows a validation
    takes, evenly spread, where all of them would take long: solvers with an exact trace.
    `objective` and `time_exponent` are those of `Flow.compile`; `kl_warmup_epochs` and `free_bits`
    are for a VAE, in epochs and nats (`tfflows.vae.ELBO`).
    """

    epochs: Count
    batch_size: Count = 256
    steps_per_epoch: Count | None = None
    early_stopping: Count | None = None
    validation_rows: Count | None = None
    objective: Literal["likelihood", "flow_matching", "ot_flow_matching"] = "likelihood"
    time_exponent: Annotated[float, pydantic.Field(gt=0)] = 1.0
    kl_warmup_epochs: Annotated[int, pydantic.Field(ge=0)] = 0
    free_bits: Annotated[float, pydantic.Field(ge=0)] = 0.0


class Backend(Section):
    """How the steps are run; changes speed, and numbers within rounding.

    `strategy` shares them among devices or processes (`tfflows.runs.strategy`); the batch of a
    recipe is that of all of them together.
    """

    jit: bool = True
    mixed_precision: bool = False
    strategy: Literal["mirrored", "multi_worker", "data_parallel", "model_parallel"] | None = None
    steps_per_execution: Count | Literal["auto"] = "auto"
    scan_layers: bool = False

    @pydantic.model_validator(mode="after")
    def _fits_together(self):
        if self.strategy in ("mirrored", "multi_worker") and self.jit:
            raise ValueError(
                f"XLA does not compile under TensorFlow's strategies: set jit to false. "
                f"Received: strategy {self.strategy!r}, jit true"
            )
        return self


class Recipe(Section):
    """All that a training run needs to be repeated.

    `preprocessing` lists layers that a model of vectors begins with. Without it rows of numbers are
    standardized; [] leaves them as they are. Discrete data are always dequantized, by their own
    number of levels. Models of images have an argument `logit` instead.
    """

    format: Annotated[int, pydantic.Field(ge=1)] = FORMAT
    name: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+$")]
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**32)] = 0
    data: Data
    preprocessing: list[Any] | None = None
    model: Model
    base: Part | None = None
    optimizer: Optimizer = Optimizer()
    training: Training
    backend: Backend = Backend()

    @pydantic.field_validator("preprocessing", mode="before")
    @classmethod
    def _is_list(cls, value):
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise ValueError(
                "Expected a list of layers, such as [Standardize, {Logit: {alpha: 0.05}}]. "
                f"Received: {value!r}"
            )
        return list(value)

    def write(self, path: str | Path) -> None:
        """Write the recipe as YAML."""
        with replaced_on_success(path) as temporary:
            write_yaml(self.model_dump(exclude_unset=True), temporary)


def read_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a YAML file.
        settings: "a.b=c", each replaces the value at a key's path; c is YAML.

    Raises:
        ValueError: the file is not YAML, or a key or value cannot be; all wrong keys are named.
        OSError: the file cannot be read.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"Expected {path} to have keys such as data, model and training")
    for setting in settings:
        apply_setting(content, setting)
    return make_recipe(content, str(path))


def make_recipe(content: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """A checked recipe of this format from nested dicts of this format or one before.

    Args:
        content: what a recipe's file says.
        source: what was read, for errors.

    Raises:
        ValueError: names the path of each key that is wrong.
    """
    content = _in_this_format(content, source)
    try:
        recipe = Recipe.model_validate(content)
    except pydantic.ValidationError as error:
        raise readable_error(error, Recipe, source) from error
    _check_model(recipe, source)
    if recipe.base is not None:
        base = find_name(recipe.base.name, BASES, "base.name", source)
        check_arguments(base, recipe.base.arguments, "base.arguments", source)
    optimizer = OPTIMIZERS[recipe.optimizer.name]
    arguments = recipe.optimizer.arguments
    check_arguments(optimizer, arguments, "optimizer.arguments", source, OPTIMIZER_RESERVED)
    return recipe


def _in_this_format(content, source):
    version = content.get("format", 1)
    if not isinstance(version, int):
        return content  # the schema says what is wrong
    if version > FORMAT:
        raise ValueError(
            f"{source}: format: this tfflows reads recipes up to format {FORMAT}. "
            f"Received: {version}, of a newer version; update tfflows"
        )
    return upgrade_recipe(content, MODELS, source) if version in (1, 2) else content


def _check_vae(recipe, source):
    if recipe.base is not None:
        raise ValueError(
            f"{source}: base: a VAE has a prior instead, in model.arguments.prior. "
            f"Received: {recipe.base.name!r}"
        )
    if recipe.training.objective != "likelihood":
        raise ValueError(
            f"{source}: training.objective: a VAE is trained by its bound, 'likelihood'. "
            f"Received: {recipe.training.objective!r}"
        )


def _check_model(recipe, source):
    model = find_name(recipe.model.name, MODELS, "model.name", source)
    for name in ("kl_warmup_epochs", "free_bits"):
        if getattr(recipe.training, name) and model is not MODELS["vae"]:
            raise ValueError(
                f"{source}: training.{name}: is for a VAE. Received: model {recipe.model.name!r}"
            )
    if model is MODELS["vae"]:
        _check_vae(recipe, source)
    arguments = recipe.model.arguments
    check_arguments(model, arguments, "model.arguments", source, MODEL_RESERVED)
    for name, registry in OBJECTS.items():
        if arguments.get(name) is not None:
            path, latent = f"model.arguments.{name}", arguments.get("latent_shape", ())
            make_object(arguments[name], registry, "float32", path, source, latent)
    if recipe.preprocessing and "preprocessing" not in inspect.signature(model.__init__).parameters:
        raise ValueError(
            f"{source}: preprocessing: {recipe.model.name} is a model of images, which takes "
            f"`logit` in model.arguments. Received: {recipe.preprocessing!r}"
        )
    for place, spec in enumerate(recipe.preprocessing or ()):
        make_object(spec, LAYERS, "float32", f"preprocessing.{place}", source)
