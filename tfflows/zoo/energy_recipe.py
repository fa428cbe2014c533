"""recipe.yaml of a model of an energy: the density, the flow, and how it was trained on it.

name: many-well-32
target: {name: many-well, arguments: {dims: 32}, source: "Midgley et al. 2023"}
model: {name: nsf, arguments: {num_steps: 4, linear: none}}
optimizer: {learning_rate: 3e-3, clipnorm: 10.0}
training: {epochs: 20, objective: fab}
"""

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import pydantic

from tfflows import energies
from tfflows.flow import Flow
from tfflows.runs.build import make_optimizer
from tfflows.runs.curve import CURVE
from tfflows.runs.names import (
    MODEL_RESERVED,
    MODELS,
    OBJECTS,
    check_arguments,
    find_name,
    make_object,
)
from tfflows.runs.recipe import Model, Optimizer, Part
from tfflows.runs.run import versions
from tfflows.runs.settings import read_yaml, write_yaml
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.schema import Section, readable_error

RECIPE, MODEL, FACTS = "recipe.yaml", "model.keras", "run.json"
TARGETS = {
    "eight-schools": energies.EightSchools,
    "funnel": energies.Funnel,
    "many-well": energies.ManyWell,
    "normal-mixture": energies.NormalMixture,
    "phi4": energies.Phi4,
    "potential": energies.Potential,
}
# Their arguments say the shape of the event; those of `MODELS` get it from the target.
FLOWS = {
    "lattice": energies.LatticeFlow,
    "lattice-realnvp": energies.LatticeRealNVP,
    "torus": energies.TorusFlow,
}

Count = Annotated[int, pydantic.Field(ge=1)]
Objective = Literal["reverse_kl", "path_gradient", "forward_kl", "alpha_2", "fab"]


class Target(Part):
    """A density of `tfflows.energies` by name, its arguments, and where it was published."""

    source: Annotated[str, pydantic.Field(min_length=1)]


class Training(Section):
    """How long, in which batches, and by which objective of `Flow.fit_to_density`.

    `fab` are arguments of `tfflows.energies.FAB`. Each epoch ends with `monitored_draws`, whose
    effective sample size is written down.
    """

    epochs: Count
    steps_per_epoch: Count = 100
    batch_size: Count = 512
    objective: Objective = "reverse_kl"
    fab: dict[str, Any] = pydantic.Field(default_factory=dict)
    annealing_steps: Annotated[int, pydantic.Field(ge=0)] = 0
    monitored_draws: Count = 2048


class EnergyRecipe(Section):
    """What trains a model of an energy."""

    name: Annotated[str, pydantic.Field(pattern=r"^[\w.-]+$")]
    seed: Annotated[int, pydantic.Field(ge=0, lt=2**32)] = 0
    target: Target
    model: Model
    optimizer: Optimizer = Optimizer()
    training: Training
    jit: bool = True

    @classmethod
    def read(cls, path: str | Path) -> "EnergyRecipe":
        """The recipe of a YAML file.

        Raises:
            ValueError: the file is not YAML, or a key or value cannot be.
            OSError: the file cannot be read.
        """
        path = str(path)
        try:
            recipe = cls.model_validate(read_yaml(path))
        except pydantic.ValidationError as error:
            raise readable_error(error, cls, path) from error
        target = find_name(recipe.target.name, TARGETS, "target.name", path)
        check_arguments(target, recipe.target.arguments, "target.arguments", path)
        model = find_name(recipe.model.name, {**MODELS, **FLOWS}, "model.name", path)
        reserved = () if recipe.model.name in FLOWS else MODEL_RESERVED
        check_arguments(model, recipe.model.arguments, "model.arguments", path, reserved)
        fab = recipe.training.fab
        check_arguments(energies.FAB, fab, "training.fab", path)
        return recipe

    def write(self, path: str | Path) -> None:
        """Write the recipe as YAML."""
        with replaced_on_success(path) as temporary:
            write_yaml(self.model_dump(exclude_unset=True), temporary)

    def make_target(self) -> energies.Target:
        """The density."""
        return TARGETS[self.target.name](**self.target.arguments)

    def make_flow(self, event_shape: tuple[int, ...]) -> Flow:
        """The untrained flow."""
        arguments = dict(self.model.arguments)
        for name, registry in OBJECTS.items():
            if arguments.get(name) is not None:
                path = f"model.arguments.{name}"
                arguments[name] = make_object(arguments[name], registry, "float32", path, self.name)
        if self.model.name in FLOWS:
            return FLOWS[self.model.name](**arguments)
        return MODELS[self.model.name](event_shape=event_shape, preprocessing=[], **arguments)


def train_energy(recipe: EnergyRecipe, folder: str | Path, verbose: int | str = 0) -> Flow:
    """Train a flow on the density of a recipe; `save_to_zoo` makes a model of the run.

    Args:
        recipe: of the model.
        folder: a new or empty one, for model.keras, recipe.yaml, metrics.jsonl and run.json.
        verbose: as in `keras.Model.fit`.

    Returns:
        The flow after the last epoch, which model.keras has.

    Raises:
        FileExistsError: the folder holds something already.
        ValueError: the density and the flow are not of one shape.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"Expected a new or empty folder for the run. Received: {folder}")
    keras.utils.set_random_seed(recipe.seed)
    training, target = recipe.training, recipe.make_target()
    flow = recipe.make_flow(target.event_shape)
    optimizer = make_optimizer(recipe.optimizer, training.epochs * training.steps_per_epoch)
    flow.compile(optimizer, jit_compile=recipe.jit)
    is_fab = training.objective == "fab"
    folder.mkdir(parents=True, exist_ok=True)
    recipe.write(folder / RECIPE)
    (folder / FACTS).write_text(json.dumps({"versions": versions()}, indent=2) + "\n", "utf-8")
    monitor = energies.Monitor(target, training.monitored_draws)
    flow.fit_to_density(
        target,
        training.epochs,
        training.steps_per_epoch,
        training.batch_size,
        annealing_steps=training.annealing_steps,
        seed=recipe.seed,
        callbacks=[monitor, EpochFile(folder / CURVE)],
        verbose=verbose,
        objective=energies.FAB(**training.fab) if is_fab else training.objective,
    )
    flow.save(folder / MODEL)
    return flow


class EpochFile(keras.callbacks.Callback):
    """Writes what a `Monitor` logs, a line per epoch.

    `val_nll` is the mean of log q - log p over the flow's draws, at least -log Z.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        line = {name: float(logs[name]) for name in ("ess", "acceptance", "log_z", "elbo")}
        line = {name: value if math.isfinite(value) else None for name, value in line.items()}
        elbo, seconds = float(logs["elbo"]), round(time.perf_counter() - self._start, 2)
        content = {"epoch": epoch + 1, "val_nll": -elbo, **line, "seconds": seconds}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")
