"""Student's t: a base with heavy tails (Jaini et al. 2020, tail-adaptive flows)."""

import math

import keras
from keras import ops

from tfflows.backend.special import lgamma
from tfflows.backend.tensor_ops import sum_event
from tfflows.distributions.distribution import Distribution

MIN_DF = 0.1
FAR = 1e6  # from where 1 + z^2 is z^2 in float32


@keras.saving.register_keras_serializable(package="tfflows")
class StudentT(Distribution):
    """Independent t distributions of location 0 and scale 1, one number of degrees per element.

        log p(z) = sum(lgamma((df + 1) / 2) - lgamma(df / 2) - log(pi df) / 2
                       - (df + 1) / 2 log(1 + z^2 / df))

    A flow whose scales are bounded keeps the tails of its base, so that a normal base gives rows
    far out too little density, whatever the layers learn (Jaini et al. 2020, theorem 3). Here `df`
    is learned per element, from `df` on: 1 is Cauchy's distribution, 30 is nearly a normal one.

    Args:
        df: degrees of freedom at first, at least 0.1.
        trainable_df: whether they are trained; they stay above 0.1.

    Example:
        flow = tfflows.models.RealNVP((5,), base=tfflows.distributions.StudentT(df=3.0))
    """

    def __init__(self, df: float = 5.0, trainable_df: bool = True, **kwargs):
        super().__init__(**kwargs)
        if not MIN_DF < df < math.inf:
            raise ValueError(f"df must be above {MIN_DF} and finite. Received: {df!r}")
        self.df = df
        self.trainable_df = trainable_df

    def build(self, z_shape, condition_shape=None):
        super().build(z_shape, condition_shape)
        self.log_df = self.add_weight(
            name="log_df",
            shape=self.event_shape,
            initializer=keras.initializers.Constant(math.log(self.df - MIN_DF)),
            trainable=self.trainable_df,
        )

    def _degrees(self):
        return MIN_DF + ops.exp(self.log_df)

    def _log_prob(self, z, condition):
        df = self._degrees()
        normalizer = lgamma((df + 1) / 2) - lgamma(df / 2) - 0.5 * ops.log(math.pi * df)
        # log(1 + z^2 / df) without the square of what is far out.
        size = ops.abs(z) / ops.sqrt(df)
        is_far = size > FAR
        near = ops.log1p(ops.square(ops.where(is_far, 0.0, size)))
        far = 2 * ops.log(ops.where(is_far, size, 1.0))
        return sum_event(normalizer - (df + 1) / 2 * ops.where(is_far, far, near))

    def _draw(self, noise, condition, temperature):
        """Bailey's polar method (1994): smooth in df."""
        df = self._degrees()
        radius = ops.sqrt(df * ops.expm1(-2 / df * ops.log(noise.uniform(self.event_shape))))
        return temperature * radius * ops.cos(2 * math.pi * noise.uniform(self.event_shape))

    def get_config(self):
        return {**super().get_config(), "df": self.df, "trainable_df": self.trainable_df}
