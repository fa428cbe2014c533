"""Neural spline flows (Durkan et al. 2019): RQ-NSF(C) and RQ-NSF(AR)."""

from collections.abc import Sequence

import keras

from tfflows.distributions import Distribution
from tfflows.flow import Flow
from tfflows.layers import ActNorm, LULinear, MaskedAutoregressive, Permute, SplineCoupling
from tfflows.models.preprocessing import vector_preprocessing
from tfflows.networks import ResidualMLP
from tfflows.transforms import RationalQuadraticSpline
from tfflows.utils.checks import as_shape, check_positive

LINEARS = {"lu": LULinear, "permutation": Permute}


@keras.saving.register_keras_serializable(package="tfflows")
class NSF(Flow):
    """Steps of a linear layer and a layer of splines, then a last linear layer (section 3).

    The layers of splines are couplings, or autoregressive ones, of which a sample costs more.

    Splines move what lies in [-bound, bound]. ActNorm stands first and takes each feature there: to
    mean 0 and standard deviation 1, whatever the units of the data. It is trained on; the paper
    standardizes its tables beforehand. At first the rest is a permutation, which keeps that scale.

    Example:
        flow = tfflows.models.NSF(event_shape=(6,))
        flow.compile("adam", jit_compile=True)
        flow.fit(x, epochs=10)

    Args:
        event_shape: shape of one example; more than one axis is flattened.
        num_steps: linear layers with a layer of splines after each; couplings exchange the kept
            half.
        hidden_units: width of each layer's residual network; for autoregressive ones at least
            elements - 1.
        num_blocks: residual blocks in it.
        num_bins: pieces of each spline.
        bound: half the length of the interval that splines move.
        linear: "lu" (an LU decomposition with a permutation of the step) or "permutation".
        activation: within the networks.
        dropout: rate of dropout within the networks of couplings, in training.
        autoregressive: whether the layers of splines are autoregressive, in place of couplings.
        levels: grey levels of discrete data 0..levels-1, or None for real data.
        logit: margin of a logit of data in [0, 1], or None.
        standardize: whether to standardize every feature by statistics of the data.
        whiten: whether to whiten all of them together.
        radial: whether to give the rows, whitened or not, the norms of normal ones.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        num_steps: int = 10,
        hidden_units: int = 128,
        num_blocks: int = 2,
        num_bins: int = 8,
        bound: float = 3.0,
        linear: str = "lu",
        activation: str = "relu",
        dropout: float = 0.0,
        autoregressive: bool = False,
        levels: int | None = None,
        logit: float | None = None,
        standardize: bool = False,
        whiten: bool = False,
        radial: bool = False,
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(num_steps=num_steps)
        if autoregressive and dropout:
            raise ValueError(f"autoregressive=True wants dropout=0. Received: {dropout!r}")
        if linear not in LINEARS:
            raise ValueError(f"linear must be one of {list(LINEARS)}. Received: {linear!r}")
        layers = vector_preprocessing(
            event_shape, levels, logit, standardize, whiten, radial, dtype
        )
        layers.append(ActNorm(dtype=dtype))
        for step in range(num_steps):
            layers.append(LINEARS[linear](seed=step, dtype=dtype))
            if autoregressive:
                spline = RationalQuadraticSpline(num_bins, bound)
                widths = [hidden_units] * (1 + 2 * num_blocks)
                layers.append(
                    MaskedAutoregressive(spline, widths, activation, residual=True, dtype=dtype)
                )
                continue
            network = ResidualMLP(hidden_units, num_blocks, activation, dropout, dtype=dtype)
            layers.append(SplineCoupling("half", step % 2, network, num_bins, bound, dtype=dtype))
        layers.append(LINEARS[linear](seed=num_steps, dtype=dtype))
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self._arguments = {
            "num_steps": num_steps,
            "hidden_units": hidden_units,
            "num_blocks": num_blocks,
            "num_bins": num_bins,
            "bound": bound,
            "linear": linear,
            "activation": activation,
            "dropout": dropout,
            "autoregressive": autoregressive,
            "levels": levels,
            "logit": logit,
            "standardize": standardize,
            "whiten": whiten,
            "radial": radial,
        }

    def get_config(self):
        return {**self._common_config(), **self._arguments}
