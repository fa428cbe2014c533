"""Flow matching: a continuous flow trained without solving it (Lipman et al. 2023).

| objective | pairs of data x and draws z of the base |
|---|---|
| "flow_matching" | as they come |
| "ot_flow_matching" | by optimal transport within the batch (Tong et al. 2024, OT-CFM) |
"""

from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.layers.continuous_flow import ContinuousFlow, continuous_flows

OBJECTIVES = ("flow_matching", "ot_flow_matching")
SINKHORN_STEPS = 20
REGULARIZATION = 0.05  # of the transport plan, in units of the mean cost


def check_objective(flow, objective: str) -> None:
    """Raise ValueError where flow matching would not train the whole flow."""
    fields = list(continuous_flows(flow.flow_layers))
    if len(fields) != 1 or fields[0] not in flow.flow_layers:
        raise ValueError(
            f"objective={objective!r} wants a flow with exactly one ContinuousFlow, at one scale. "
            f"Received: {len(fields)} of them in {[layer.name for layer in flow.flow_layers]}"
        )
    others = [part for part in (*flow.flow_layers, flow.base) if part is not fields[0]]
    trainable = [part.name for part in others if part.trainable_variables]
    if trainable:
        raise ValueError(
            f"objective={objective!r} trains the ContinuousFlow alone, and wants no other part "
            f"with weights to train: set their trainable to False. Received: {trainable}"
        )
    if objective == "ot_flow_matching" and flow.condition_shape is not None:
        raise ValueError(
            'objective="ot_flow_matching" would pair data with draws of other conditions: use '
            '"flow_matching". Received: a conditional flow'
        )


def matching_loss(
    flow, objective: str, x: Tensor, condition: Tensor | None = None, time_exponent: float = 1.0
):
    """How far the field is from the straight paths between x and draws of the base.

        loss = |f(y, t) - (z - x)|^2 / dims,   y = (1 - t) x + t z,   t = u^e,   u ~ U(0, 1)

    (Lipman et al. 2023, equations 22 and 23, from data to latent, with e = 1). x has gone through
    the layers before the ContinuousFlow, and z back through those after it. Times are stratified
    over the batch, which makes the loss less noisy. An exponent e above 1 takes more of them near
    the data, where the fields of fine structure are steep; what the best field is does not change.

    Args:
        flow: passed `check_objective`.
        objective: one of OBJECTIVES.
        x: data `[batch, *event]`.
        condition: `[batch, ...]`, or None.
        time_exponent: e.

    Returns:
        The loss `[batch]`, and the draws `[batch, *latent]`.
    """
    is_field = [isinstance(layer, ContinuousFlow) for layer in flow.flow_layers]
    place = is_field.index(True)
    field = flow.flow_layers[place]
    x, _ = flow._through(flow.flow_layers[:place], ops.convert_to_tensor(x), 0.0, condition, True)
    rows = ops.shape(x)[0]
    noise = rng.BatchNoise(rows, rng.replica_seed(field.seed_generator), flow.compute_dtype)
    draws = z = flow.base.draw(noise, condition, 1.0)
    for layer in reversed(flow.flow_layers[place + 1 :]):
        z = layer.inverse(z, condition)
    if objective == "ot_flow_matching":
        z = ops.take(z, _pairs(x, z, noise), axis=0)
    places = ops.cast(ops.arange(rows), x.dtype) / ops.cast(rows, x.dtype)
    time = ((noise.uniform(())[:1] + places) % 1.0) ** time_exponent
    share = ops.reshape(time, (-1, *(1 for _ in x.shape[1:])))
    slope = field.field((1 - share) * x + share * z, time, condition)
    return sum_event(ops.square(slope - (z - x))) / field.dims, draws


def _pairs(x, z, noise):
    """For each x the index of a z, drawn from the entropic plan of transport between the rows.

    Sinkhorn's iterations (Cuturi 2013) make the plan; the cost is the squared distance.
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
