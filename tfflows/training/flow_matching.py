"""Flow matching: a continuous flow trained without solving it (Lipman et al. 2023)."""

import dataclasses
import math

import keras
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.layers.continuous_flow import ContinuousFlow, continuous_flows
from tfflows.training.objective import Objective

COUPLINGS = ("independent", "optimal_transport")
SINKHORN_STEPS = 20
REGULARIZATION = 0.05  # of the transport plan, in units of the mean cost


@keras.saving.register_keras_serializable(package="tfflows")
@dataclasses.dataclass(frozen=True)
class FlowMatching(Objective):
    """How far the field is from the straight paths between data and draws of the base.

        loss = |f(y, t) - (z - x)|^2 / dims,   y = (1 - t) x + t z,   t = u^e,   u ~ U(0, 1)

    (Lipman et al. 2023, equations 22 and 23, https://arxiv.org/abs/2210.02747, from data to latent,
    with e = 1.) x has gone through the layers before the ContinuousFlow, and z back through those
    after it. Times are stratified over the batch, which makes the loss less noisy. The flow must
    have exactly one ContinuousFlow, at one scale, and nothing else to train.

    Example:
        flow = tfflows.models.FFJORD((2,))
        flow.compile("adam", objective=FlowMatching(coupling="optimal_transport"))

    Args:
        coupling: "independent" pairs data and draws as they come; "optimal_transport" pairs them
            within the batch by the entropic transport plan (Tong et al. 2024, OT-CFM,
            https://arxiv.org/abs/2302.00482).
        time_exponent: e. Above 1 more times are near the data, where the fields of fine structure
            are steep; the best field does not change.

    Raises:
        ValueError: there is no such coupling, or the exponent is not a positive number.
    """

    coupling: str = "independent"
    time_exponent: float = 1.0

    def __post_init__(self):
        if self.coupling not in COUPLINGS:
            raise ValueError(
                f"Expected `coupling` to be one of {list(COUPLINGS)}. Received: {self.coupling!r}"
            )
        exponent = self.time_exponent
        if not isinstance(exponent, int | float) or not 0 < exponent < math.inf:
            raise ValueError(
                f"Expected `time_exponent` to be a positive number. Received: {exponent!r}"
            )

    def check(self, density):
        fields = list(continuous_flows(density.flow_layers))
        if len(fields) != 1 or fields[0] not in density.flow_layers:
            raise ValueError(
                "Flow matching expects a flow with exactly one ContinuousFlow, at one scale. "
                f"Received: {len(fields)} of them in {[each.name for each in density.flow_layers]}"
            )
        others = [part for part in (*density.flow_layers, density.base) if part is not fields[0]]
        trainable = [part.name for part in others if part.trainable_variables]
        if trainable:
            raise ValueError(
                "Flow matching trains only the ContinuousFlow, and expects no other part with "
                f"weights to train: set their trainable to False. Received: {trainable}"
            )
        if self.coupling == "optimal_transport" and density.condition_shape is not None:
            raise ValueError(
                "Optimal transport would pair data with draws of other conditions: use "
                'coupling="independent". Received: a conditional flow'
            )

    def terms(self, density, batch, training):
        is_field = [isinstance(layer, ContinuousFlow) for layer in density.flow_layers]
        place = is_field.index(True)
        field, condition = density.flow_layers[place], batch.condition
        x = ops.convert_to_tensor(batch.x)
        for layer in density.flow_layers[:place]:
            x, _ = layer.forward_and_log_det(x, condition, training)
        x = ops.cast(x, density.compute_dtype)
        rows = ops.shape(x)[0]
        seed = rng.replica_seed(field.seed_generator)
        noise = rng.BatchNoise(rows, seed, density.compute_dtype)
        draws = z = density.base.draw(noise, condition, 1.0)
        for layer in reversed(density.flow_layers[place + 1 :]):
            z = layer.inverse(z, condition)
        if self.coupling == "optimal_transport":
            z = ops.take(z, transport_pairs(x, z, noise), axis=0)
        places = ops.cast(ops.arange(rows), x.dtype) / ops.cast(rows, x.dtype)
        time = ((noise.uniform(())[:1] + places) % 1.0) ** self.time_exponent
        share = ops.reshape(time, (-1, *(1 for _ in x.shape[1:])))
        slope = field.field((1 - share) * x + share * z, time, condition)
        return draws, [sum_event(ops.square(slope - (z - x))) / field.dims]

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def transport_pairs(x: Tensor, z: Tensor, noise: rng.BatchNoise) -> Tensor:
    """For each x the index of a z, drawn from the entropic plan of transport between the rows.

    Sinkhorn's iterations (Cuturi 2013, https://arxiv.org/abs/1306.0895) make the plan; the cost is
    the squared distance.

    Args:
        x, z: rows `[n, ...]`.
        noise: of n rows.
    """
    rows = ops.shape(x)[0]
    x, z = ops.reshape(x, (rows, -1)), ops.reshape(z, (rows, -1))
    squares = sum_event(ops.square(x))[:, None] + sum_event(ops.square(z))[None]
    cost = squares - 2 * ops.matmul(x, ops.transpose(z))
    plan = -cost / (REGULARIZATION * ops.mean(cost))
    for _ in range(SINKHORN_STEPS):
        plan = plan - ops.logsumexp(plan, axis=0, keepdims=True)
        plan = plan - ops.logsumexp(plan, axis=1, keepdims=True)
    gumbel = -ops.log(-ops.log(noise.uniform((rows,))))
    return ops.argmax(plan + gumbel, axis=1)
