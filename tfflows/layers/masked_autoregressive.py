"""Masked (Papamakarios et al. 2017) and inverse (Kingma et al. 2016) autoregressive flows."""

import contextlib
import functools
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend.precision import full_precision
from tfflows.backend.tensor_ops import sum_event
from tfflows.layers.flow_layer import FlowLayer
from tfflows.networks import MADE
from tfflows.networks.made.inverter import INVERSIONS, Inverter
from tfflows.networks.made.made import bounded
from tfflows.networks.made.order import make_order, reorder
from tfflows.transforms import Affine, Transform
from tfflows.utils import legacy

_OF_NETWORK = ("hidden_units", "activation", "residual")


@keras.saving.register_keras_serializable(package="tfflows")
class MaskedAutoregressive(FlowLayer):
    """Transform each element given those before it in an order: data to latent in one pass.

        z_i = transform(x_i; parameters_i),  parameters = MADE(x, condition)
        log_det = sum_i log dz_i/dx_i

    The way back needs x_i for the parameters of x_i+1. `inversion` says how it is found:
    "incremental" computes each hidden unit once, about the arithmetic of one pass in as many small
    steps as there are elements; on a GPU, which waits for the launch of each small step, it sweeps
    over blocks of elements until nothing changes instead. "jacobi" repeats whole passes until
    nothing changes; "sequential" makes one pass per element. All are exact: sweeps stop at
    `tolerance`, or after as many as there are elements, where they cannot be wrong. Networks
    are in float32 or float64 even under a mixed policy: an error of x_i goes into all after it.
    Parameters are cut at +-1e4, so that samples which grow from element to element stay finite.

    Args:
        transform: of each element; affine by default.
        hidden_units: widths of MADE's hidden layers, at least elements - 1 each.
        activation: within MADE.
        residual: whether MADE is residual (see `MADE`).
        order: "sequential", "reversed", "random", or the elements' indices in their order.
        seed: integer of a random order.
        inversion: "incremental", "jacobi" or "sequential".
        tolerance: largest change of an element, relative to its size where that is above 1, after
            which sweeps stop; None is 1e-6, in float64 1e-12.
    """

    needs_vectors = True

    def __init__(
        self,
        transform: Transform | None = None,
        hidden_units: Sequence[int] = (256, 256),
        activation: str = "relu",
        residual: bool = False,
        order: str | Sequence[int] = "sequential",
        seed: int | None = None,
        inversion: str = "incremental",
        tolerance: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if inversion not in INVERSIONS:
            renamed = legacy.INVERSIONS.get(inversion)
            hint = f", which is now called {renamed!r}" if renamed else ""
            raise ValueError(
                f"inversion must be one of {INVERSIONS}. Received: {inversion!r}{hint}"
            )
        if tolerance is not None and not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative. Received: {tolerance}")
        self.transform = Affine() if transform is None else transform
        if not isinstance(self.transform, Transform):
            raise ValueError(f"transform must be a tfflows transform. Received: {transform!r}")
        self.network = MADE(
            self.transform.num_parameters,
            hidden_units,
            activation,
            residual,
            dtype=self.compute_dtype,
        )
        self.order = order if isinstance(order, str) else np.asarray(order).tolist()
        self.seed = seed
        self.inversion = inversion
        self.tolerance = tolerance

    def build(self, x_shape, condition_shape=None):
        super().build(x_shape, condition_shape)
        if len(self.event_shape) != 1:
            raise ValueError(
                f"{type(self).__name__} expects vectors: put Flatten before it. "
                f"Received: event of shape {self.event_shape}"
            )
        self._order = make_order(self.order, self.event_shape[0], self.seed)
        self.network.build((None, *self.event_shape), condition_shape)
        make_inverter = functools.partial(Inverter, self.network, self._element)
        self._make_inverter = functools.lru_cache(maxsize=1)(make_inverter)

    def _one_pass(self, x, condition, training, inverse=False):
        x = reorder(x, self._order)
        # An error of one element goes into all that follow it. Training has noise enough.
        with contextlib.nullcontext() if training else full_precision():
            parameters = self._parameters(x, condition)
        apply = self.transform.inverse if inverse else self.transform.forward
        z, log_det = apply(x, parameters)
        return reorder(z, np.argsort(self._order)), sum_event(log_det)

    def _parameters(self, x, condition):
        return bounded(ops.unstack(self.network(x, condition), axis=1))

    def _step_by_step(self, z, condition, training=False):
        if self.event_shape == (1,):  # its parameters follow from the condition only
            return self._one_pass(z, condition, training, inverse=True)
        invert = self._make_inverter(inversion=self.inversion, tolerance=self.tolerance)
        x, log_det = invert([reorder(z, self._order)], condition, training)
        return reorder(x, np.argsort(self._order)), log_det

    def _element(self, latents, parameters):
        return self.transform.inverse(latents[0], bounded(parameters))

    def _forward(self, x, condition=None, training=False):
        return self._one_pass(x, condition, training)

    def _inverse(self, z, condition=None, training=False):
        return self._step_by_step(z, condition, training)

    def _structure_arguments(self):
        network = {name: getattr(self.network, name) for name in _OF_NETWORK}
        return {**network, "order": self._order.tolist(), "seed": None}

    def _can_be_scanned(self, inverse):
        # What TensorFlow compiles as a region reads variables, not what stands for them.
        return not inverse or keras.backend.backend() != "tensorflow"

    def get_config(self):
        return {
            **super().get_config(),
            "transform": keras.saving.serialize_keras_object(self.transform),
            "hidden_units": self.network.hidden_units,
            "activation": self.network.activation,
            "residual": self.network.residual,
            "order": self.order,
            "seed": self.seed,
            "inversion": self.inversion,
            "tolerance": self.tolerance,
        }

    @classmethod
    def from_config(cls, config):
        return super().from_config(legacy.upgrade_arguments(cls, config))


@keras.saving.register_keras_serializable(package="tfflows")
class InverseAutoregressive(MaskedAutoregressive):
    """The same transform run the other way (IAF): latent to data, as sampling does, in one pass.

        x_i = transform(z_i; parameters_i),  parameters = MADE(z, condition)

    The density of data that the layer did not make needs z_i for the parameters of z_i+1: that is
    `inversion`'s work here. Training on data differentiates through one pass per element; training
    by `fit_to_density`, which samples, goes through one pass.

    Arguments and errors are those of `MaskedAutoregressive`.
    """

    def _forward(self, x, condition=None, training=False):
        return self._step_by_step(x, condition, training)

    def _inverse(self, z, condition=None, training=False):
        return self._one_pass(z, condition, training)

    def _can_be_scanned(self, inverse):
        return super()._can_be_scanned(not inverse)
