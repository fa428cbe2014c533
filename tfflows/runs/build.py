"""From a recipe to its model and its optimizer."""

import dataclasses
import inspect

import keras

from tfflows.flow import Flow
from tfflows.runs.names import BASES, LAYERS, MODELS, OBJECTS, OPTIMIZERS, make_object
from tfflows.runs.recipe import Optimizer, Recipe
from tfflows.runs.schedule import resolve_steps
from tfflows.training.objective import Objective
from tfflows.training.objectives import get_objective
from tfflows.utils.data_schema import DataSchema
from tfflows.utils.errors import first_paragraph
from tfflows.vae import ELBO, VAE


def make_flow(recipe: Recipe, info) -> Flow:
    """The untrained model of a recipe for data described by a `DatasetInfo`.

    Discrete data are dequantized by their own number of levels: by the model's own layer, or else
    by one before the recipe's `preprocessing`, unless that has a Dequantize.

    Raises:
        ValueError: the arguments do not fit each other or the data.
    """
    make = MODELS[recipe.model.name]
    parameters = inspect.signature(make.__init__).parameters
    dtype = "mixed_bfloat16" if recipe.backend.mixed_precision else "float32"
    is_vae = make is MODELS["vae"]  # which neither dequantizes nor has a conditioner
    arguments = _with_objects(recipe, dtype if is_vae else "float32")
    if "quantization_levels" in parameters:
        arguments["quantization_levels"] = info.levels
    if "preprocessing" in parameters:
        levels = None if is_vae else info.levels
        arguments["preprocessing"] = _layers(recipe, levels, dtype)
    if recipe.data.conditional:
        arguments["condition_shape"] = info.condition_shape
    try:
        if recipe.base is not None:
            arguments["base"] = BASES[recipe.base.name](**recipe.base.arguments, dtype=dtype)
        flow = make(event_shape=info.event_shape, dtype="float32" if is_vae else dtype, **arguments)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{recipe.name}: model: {first_paragraph(error)}") from error
    flow.data_schema = _schema(recipe, info)
    return flow


def _schema(recipe, info):
    schema = DataSchema(columns=info.columns, dequantized=info.dequantized)
    if not recipe.data.conditional:
        return schema
    conditions = {key: getattr(info, key) for key in ("label", "classes", "condition_columns")}
    return dataclasses.replace(schema, **conditions)


def _with_objects(recipe, dtype):
    """The model's arguments with networks and solvers made; networks of fields are in float32."""
    arguments = dict(recipe.model.arguments)
    latent_shape = arguments.get("latent_shape", ())
    for name, registry in OBJECTS.items():
        if arguments.get(name) is not None:
            spec, path = arguments[name], f"model.arguments.{name}"
            arguments[name] = make_object(spec, registry, dtype, path, recipe.name, latent_shape)
    return arguments


def _layers(recipe, levels, dtype):
    if recipe.preprocessing is None and levels is None:
        return None  # the model's default
    specs: list = list(recipe.preprocessing or ())
    names = {spec if isinstance(spec, str) else next(iter(spec)) for spec in specs}
    if levels is not None and "Dequantize" not in names:
        specs.insert(0, {"Dequantize": {"levels": levels}})
    return [make_object(spec, LAYERS, dtype, "preprocessing", recipe.name) for spec in specs]


def make_optimizer(section: Optimizer, total_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe's section, whose schedule ends after `total_steps`."""
    warmup, ema = resolve_steps(section, total_steps)
    rate = peak = section.learning_rate
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
        use_ema=ema is not None,
        ema_momentum=ema or 0.99,
        **section.arguments,
    )


def make_objective(recipe: Recipe, total_steps: int) -> Objective:
    """The objective of a recipe; a VAE's KL is warmed up over some of the `total_steps`."""
    training = recipe.training
    if MODELS[recipe.model.name] is not VAE:
        return get_objective(training.objective, training.time_exponent)
    warmup = training.kl_warmup_epochs * total_steps // training.epochs
    return ELBO(warmup, training.free_bits)


def decay_kernels_only(optimizer: keras.optimizers.Optimizer, flow: Flow) -> None:
    """Let weight decay pull no bias, gain, scale or shift to zero."""
    variables = flow.trainable_variables
    others = [v for v in variables if not v.name.startswith("kernel") and v.name != "v"]
    optimizer.exclude_from_weight_decay(var_list=others)
