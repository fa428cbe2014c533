"""A flow as an object of TensorFlow Probability."""

from typing import TYPE_CHECKING

from tfflows.backend.tensor_ops import Tensor
from tfflows.flow import Flow

if TYPE_CHECKING:
    from tfflows.tfp.flow_bijector import FlowBijector
    from tfflows.tfp.flow_distribution import FlowDistribution


def as_distribution(flow: Flow, condition: Tensor | None = None) -> "FlowDistribution":
    """A flow as a `tfd.Distribution` of event shape `flow.event_shape`.

    It has `log_prob`, `sample` (reparameterized where the flow's base is and the data are not
    discrete) and `experimental_sample_and_log_prob`. It stands in JointDistributions, in
    `tfp.vi.fit_surrogate_posterior`, whose optimizer finds the flow's trainable weights in its
    `trainable_variables`, and in functions of `tf.function`.

    Args:
        flow: a flow.
        condition: `[*batch, *condition_shape]`, where the flow is conditional; `batch` is the batch
            shape of the distribution, `()` for one condition.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: the condition does not fit.

    Example:
        distribution = tfflows.tfp.as_distribution(flow)
        x = distribution.sample(100, seed=0)
        log_p = distribution.log_prob(x)
    """
    _check(flow)
    from tfflows.tfp.flow_distribution import FlowDistribution

    return FlowDistribution(flow, condition)


def as_bijector(flow: Flow, condition: Tensor | None = None) -> "FlowBijector":
    """A flow without its base as a `tfb.Bijector`: `forward` goes from latent to data.

    `inverse(forward(z))` comes from the bijector's cache. The cache does not see that the flow is
    trained: make a new bijector, or use new tensors, after that.

    Args:
        flow: a flow that does not dequantize.
        condition: as in `as_distribution`; broadcasts with the batch axes of what is mapped.

    Raises:
        ImportError: TensorFlow Probability is missing or too old.
        ValueError: the condition does not fit, or the flow is not a bijection.

    Example:
        base = tfd.MultivariateNormalDiag(tf.zeros(2))
        bijector = tfb.Chain([tfb.Exp(), tfflows.tfp.as_bijector(flow)])
        positive = tfd.TransformedDistribution(base, bijector)
    """
    _check(flow)
    from tfflows.tfp.flow_bijector import FlowBijector

    return FlowBijector(flow, condition)


def _check(flow):
    if not isinstance(flow, Flow):
        raise ValueError(f"Expected a flow of tfflows. Received: {flow!r}")
