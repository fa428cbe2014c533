"""The contract of objectives: what `fit` minimises, as an object that is given to `compile`."""

from typing import TYPE_CHECKING, Any

import keras

from tfflows.backend.tensor_ops import Tensor
from tfflows.training.batch import Batch

if TYPE_CHECKING:
    from tfflows.training.density import Density


class Objective:
    """The mean over rows of a sum of terms, which training minimises.

    A subclass writes `terms`, and `check` where it cannot train every flow.

    Attributes:
        is_likelihood: whether the terms add up to the negative log-likelihood of the batch, so
            that training logs it as `nll`.
        takes_data: whether batches are data, whose statistics layers may take.
    """

    is_likelihood = False
    takes_data = True

    def check(self, density: "Density") -> None:
        """Raise ValueError where this objective cannot train the flow."""

    def parse(self, inputs: Any, condition: Any = None) -> Any:
        """What `terms` gets as its batch, from what the flow was called with."""
        return Batch.parse(inputs, condition)

    def terms(
        self, density: "Density", batch: Any, training: bool | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The flow's output for a batch, and the terms of its loss per row.

        Args:
            density: the flow that is trained.
            batch: from `parse`.
            training: whether layers are in training.

        Returns:
            A tensor `[batch, ...]`, and tensors `[batch]`, whose sum is the loss of each row.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `terms`.")


class DensityTraining:
    """A way to train on an unnormalised density by its own loop, for `fit_to_density`.

    A subclass writes `make_step` and `fit`, which trains by `flow.train_on_batch`.
    """

    def make_step(self) -> Objective:
        """The objective of `train_on_batch`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `make_step`.")

    def fit(self, flow: Any, log_density: Any, **arguments) -> keras.callbacks.History:
        """Train a compiled flow; the arguments are those of `Flow.fit_to_density`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `fit`.")


@keras.saving.register_keras_serializable(package="tfflows")
class MaximumLikelihood(Objective):
    """The negative log-likelihood, -log p_base(z) - log |det dz/dx|, in nats.

    Example:
        flow.compile("adam", objective=tfflows.training.MaximumLikelihood())  # the default
    """

    is_likelihood = True

    def terms(self, density, batch, training):
        z, log_det = density.forward_and_log_det(batch.x, batch.condition, training)
        return z, [-log_det, -density.base(z, condition=batch.condition)]

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return hash(type(self))

    def __repr__(self):
        return "MaximumLikelihood()"
