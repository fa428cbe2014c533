"""Flows over periodic square lattices with the symmetries of phi^4 theory."""

import keras

from tfflows.layers import AffineCoupling, ContinuousFlow
from tfflows.models.published_flow import PublishedFlow
from tfflows.networks import LatticeField, OddConvNet
from tfflows.ode import FixedStep, Solver
from tfflows.utils.checks import check_positive


@keras.saving.register_keras_serializable(package="tfflows")
class LatticeFlow(PublishedFlow):
    """A continuous flow over fields `[batch, L, L, 1]` (Gerdes et al. 2022).

    One `LatticeField`, followed for a unit of time: the density is invariant under the shifts,
    turns and reflections of the lattice and under phi -> -phi. Its few thousand weights reach over
    the whole lattice. Training may find a field at which a solver of few steps errs in its favour:
    the loss then falls below -log Z. Check by `solver_error`, or by a solver of more steps.

    Example:
        target = tfflows.energies.Phi4(8)
        flow = tfflows.energies.LatticeFlow(8)
        flow.compile(keras.optimizers.Adam(5e-3, clipnorm=10.0), jit_compile=True)
        flow.fit_to_density(target, epochs=10, batch_size=256, objective="path_gradient")

    Args:
        length: L.
        num_waves, num_times: of the field.
        solver: of training, `log_prob` and draws; 16 steps of rk4, in a loop, by default.
    """

    def __init__(
        self,
        length: int,
        num_waves: int = 12,
        num_times: int = 5,
        solver: Solver | None = None,
        dtype=None,
        **kwargs,
    ):
        check_positive(length=length)
        solver = FixedStep("rk4", 16, unroll=False) if solver is None else solver
        field = LatticeField(num_waves, num_times, dtype=dtype)
        layer = ContinuousFlow(field, solver, solver, dtype=dtype)
        super().__init__(layer, (length, length, 1), dtype=dtype, **kwargs)


@keras.saving.register_keras_serializable(package="tfflows")
class LatticeRealNVP(PublishedFlow):
    """Affine couplings on checkerboards over fields `[batch, L, L, 1]` (Albergo et al. 2019).

    The networks are periodic convolutions, odd in phi, so that p(phi) = p(-phi); the density is
    invariant under shifts by two sites. Their weights do not depend on L.

    Example:
        flow = tfflows.energies.LatticeRealNVP(8)

    Args:
        length: L, even.
        num_couplings: couplings, whose checkerboards alternate.
        filters: channels of each network's hidden layers.
        log_scale: a number c, for scales of 1 / c to c per coupling.
    """

    def __init__(
        self,
        length: int,
        num_couplings: int = 16,
        filters: tuple[int, ...] = (32, 32),
        log_scale: float = 8.0,
        dtype=None,
        **kwargs,
    ):
        check_positive(length=length, num_couplings=num_couplings)
        if length % 2:
            raise ValueError(f"A periodic checkerboard needs an even length. Received: {length}")
        layers = []
        for number in range(num_couplings):
            network = OddConvNet(filters, dtype=dtype)
            layers.append(
                AffineCoupling("checkerboard", number % 2, network, log_scale, dtype=dtype)
            )
        super().__init__(layers, (length, length, 1), dtype=dtype, **kwargs)
