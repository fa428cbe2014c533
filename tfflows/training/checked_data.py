"""Data for `fit` and `evaluate`, checked and in the form that Keras takes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfflows.backend import rng
from tfflows.training.batch import Batch
from tfflows.training.inputs import check_weights, is_array, read_rows, warn_raw_pixels
from tfflows.training.reverse_kl import ReverseKL
from tfflows.training.steps import Steps


class CheckedData(Steps):
    """A density that checks the data it trains on; arguments as of Density."""

    def _open(self, data, max_rows: int | None = None) -> tuple[Any, Batch]:
        """Data that Keras takes, and checked rows of them, as `read_rows` gives them."""
        data = self.data_schema.in_order(data)
        data, batch = read_rows(data, max_rows, self.condition_shape is not None)
        self._check_batch(batch)
        return data, batch

    def _check_validation(self, arguments) -> Batch | None:
        """Check the validation data among the arguments of `fit`, and return a batch of them."""
        data = arguments.get("validation_data")
        if data is None:
            return None
        if not isinstance(data, tuple | list):
            arguments["validation_data"], batch = self._open(data)
            return batch
        x, y, weight = (*data, None, None)[:3]
        if self.condition_shape is not None and y is not None and not isinstance(x, dict | tuple):
            x, y = (x, y), None  # a flow has no targets: the second part is the condition
        x, batch = self._open(x)
        weight = check_weights(weight)
        arguments["validation_data"] = (x, target_of(x, y, weight), weight)
        return batch

    def _prepare_data(self, arguments, should_adapt) -> Callable[[], Batch]:
        """Check the arguments of `fit`, and return what gives a batch to adapt to."""
        x, y = arguments["x"], arguments.get("y")
        data, batch = self._open(x, self._max_adapt_rows if should_adapt else None)
        self._remember_names(x, batch)
        if len(self.event_shape) == 3 and not self.is_discrete:
            warn_raw_pixels(batch.x)
        weight = check_weights(arguments.get("sample_weight"))
        arguments |= {"x": data, "y": target_of(data, y, weight), "sample_weight": weight}
        if not is_array(data):
            arguments.setdefault("shuffle", False)  # Keras warns that it cannot shuffle a dataset
        return lambda: batch

    def _prepare_draws(self, arguments, objective: ReverseKL) -> Callable[[], Batch]:
        """As `_prepare_data` for `ReverseKL`, whose data are the seeds and weights of its steps."""
        for name in ("x", "y", "sample_weight", "batch_size", "validation_split"):
            if arguments.get(name) is not None:
                raise ValueError(
                    "ReverseKL trains on draws of the flow, and takes no data: "
                    f"give `epochs` and `steps_per_epoch`. Received: {name}="
                )
        objective.check_density(self)
        per_epoch = arguments.setdefault("steps_per_epoch", 100)
        arguments["x"] = objective.steps(arguments.get("epochs", 1) * per_epoch)
        arguments |= {"batch_size": 1, "shuffle": False}

        return lambda: self._draws_of(objective)

    def _draws_of(self, objective: ReverseKL) -> Batch:
        """The flow's own draws, to which layers adapt."""
        condition = self.check_condition(objective.condition, objective.num_draws)
        seed = rng.make_seed(objective.seed)
        z = self.draw_latents(objective.num_draws, seed, 1.0, condition)
        return Batch(self.generate(z, condition), condition)

    def _prepare_draws_of_loop(self, objective: ReverseKL) -> None:
        """Check the density, and adapt layers that wait for it, before a `DensityTraining`."""
        objective.check(self)
        objective.check_density(self)
        if self._should_adapt():
            self._adapt(self._draws_of(objective), force=False)


def target_of(x, y, sample_weight):
    """Keras drops sample_weight where y is None, so a flow's rows get a target of zeros."""
    if y is not None:
        raise ValueError(
            "A flow has no targets: a condition goes into x, as (x, condition). "
            f"Received: y of type {type(y).__name__}"
        )
    if sample_weight is None:
        return None
    return np.zeros(len(Batch.parse(x)), "float32")
