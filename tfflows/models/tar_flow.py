"""TarFlow: autoregressive flows by transformers on patches (Zhai et al. 2024)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.autodiff import value_and_pullback
from tfflows.backend.tensor_ops import Tensor
from tfflows.distributions import Distribution, StandardLogistic
from tfflows.layers import (
    ActNorm,
    FlowLayer,
    GaussianNoise,
    Squeeze,
    TransformerAutoregressive,
)
from tfflows.layers.equal_steps import generate_through
from tfflows.layers.guidance import guided
from tfflows.models.preprocessing import image_preprocessing, padding_to_fit
from tfflows.models.published_flow import PublishedFlow
from tfflows.training.inputs import as_arrays
from tfflows.transforms import Affine, HistogramCDF, LogisticMixtureCDF
from tfflows.transforms.log_scale import deep_log_scale
from tfflows.utils.checks import as_shape, check_guidance, check_positive, check_shape

SIZES = {
    "small": {"patch": 4, "depth": 4, "width": 64, "num_blocks": 2, "num_heads": 2},
    "medium": {"patch": 2, "depth": 4, "width": 128, "num_blocks": 4, "num_heads": 4},
    "large": {"patch": 2, "depth": 8, "width": 512, "num_blocks": 8, "num_heads": 8},
}


@keras.saving.register_keras_serializable(package="tfflows")
class TarFlow(PublishedFlow):
    """Autoregressive layers on patches of images `(height, width, channels)` as tokens.

    Each layer transforms a token given those before it, by a causal transformer; every second one
    goes from the last token to the first. The paper's transform is affine. With `num_components`
    it is the distribution function of a mixture of logistics (`LogisticMixtureCDF`), with which
    one layer on pixels, `patch=1, depth=1`, is a density of any form. With `num_bins` the
    first layer is that of a histogram (`HistogramCDF`): as many bins as there are grey levels, and
    it gives each level its probability, as a language model does a word, and loses nothing to
    dequantization.

    Data are `[batch, height, width, channels]`, latents
    `[batch, height / patch, width / patch, channels of a patch]`.

    Example:
        flow = tfflows.models.TarFlow((28, 28, 1), condition_shape=(10,))
        flow.compile("adam", jit_compile=True)
        flow.fit((images, one_hot_classes), epochs=10)  # integers 0..255

    Args:
        event_shape: (height, width, channels); the patch divides height and width.
        patch: side of a patch.
        depth: number of autoregressive layers.
        width: size of a token within the transformers.
        num_blocks: transformer blocks of a layer.
        num_heads: attention heads, which divide the width.
        num_components: of the mixture in each layer, or None for affine layers; with `num_bins` in
            each layer after the first.
        context: how far around a token those before it are given to a transformer at once: see
            `CausalTransformer`.
        dropout: of the transformers, in training.
        quantization_levels: grey levels of discrete data 0..levels-1 (32 for 5-bit images), or
            None for real data.
        logit: margin of the logit of data in [0, 1], or None for none (the paper's way).
        inversion: of the layers: see `TransformerAutoregressive`.
        base: distribution of the latents; standard normal by default, with `num_bins` standard
            logistic.
        condition_shape: shape of one condition, such as a one-hot class, or None.
        variational_dequantization: whether the noise of discrete data is learned, by
            `VariationalDequantize`.
        condition_dropout: share of the rows whose condition training replaces by zeros, so that the
            model knows the unconditional density, which guidance needs; 0.1 in the paper.
        pad: whether to pad images of discrete data to sides that the patch divides.
        num_bins: of the histogram in the first layer, or None. Data are in [0, 1] there, and go
            without logit.
        noise: standard deviation of Gaussian noise on discrete data, in units of data from -1 to 1,
            instead of uniform noise of a level: 0.05 and more in the paper, for samples that look
            better; 0 for none. The density is that of noisy images then, no bound of the discrete
            likelihood, and there are no bits per dimension. `sample(denoise=True)` takes the noise
            off.

    Raises:
        ValueError: an argument is out of range, or two of them exclude each other.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        patch: int = 2,
        depth: int = 4,
        width: int = 128,
        num_blocks: int = 2,
        num_heads: int = 4,
        num_components: int | None = None,
        context: int = 2,
        dropout: float = 0.0,
        quantization_levels: int | None = 256,
        logit: float | None = None,
        inversion: str = "cached",
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        variational_dequantization: bool = False,
        condition_dropout: float = 0.0,
        pad: bool = False,
        num_bins: int | None = None,
        noise: float = 0.0,
        dtype=None,
        **kwargs,
    ):
        event_shape = as_shape("event_shape", event_shape)
        check_positive(patch=patch, depth=depth)
        _check_bins(num_bins, num_components, logit, depth)
        pad = pad and quantization_levels is not None
        layers: list[FlowLayer] = [*padding_to_fit(event_shape, patch, "patch", pad, dtype)]
        learned = variational_dequantization
        if noise:
            others = {"num_bins": num_bins, "logit": logit, "pad": pad and bool(layers)}
            others["variational_dequantization"] = learned
            layers = [_noise_layer(noise, quantization_levels, others, dtype)]
        else:
            layers += image_preprocessing(quantization_levels, logit, dtype, learned)
        layers += [Squeeze(patch, dtype=dtype)] if patch > 1 else []
        if num_bins is None:
            layers.append(ActNorm(dtype=dtype))
        elif base is None:
            base = StandardLogistic()
        for i in range(depth):
            layers.append(
                TransformerAutoregressive(
                    _transform(depth, num_components, num_bins if i == 0 else None),
                    *(width, num_blocks, num_heads, context),
                    reverse=i % 2 == 1,
                    dropout=dropout,
                    inversion=inversion,
                    dtype=dtype,
                )
            )
        if not 0 <= condition_dropout < 1:
            raise ValueError(f"condition_dropout must be in [0, 1). Received: {condition_dropout}")
        super().__init__(layers, event_shape, base, condition_shape, dtype=dtype, **kwargs)
        self.condition_dropout = condition_dropout

    def build(self, input_shape):
        if not self.built:  # after which Keras takes no state
            self.seed_generator = keras.random.SeedGenerator()
        super().build(input_shape)

    @property
    def has_guidance(self) -> bool:
        """Whether the model has learned its density with and without the condition."""
        return self.condition_shape is not None and self.condition_dropout > 0

    def forward_and_log_det(self, x, condition=None, training=False):
        """As that of every flow; in training without the condition of some rows."""
        if training and self.condition_dropout and condition is not None:
            condition = ops.cast(condition, self.compute_dtype)
            shape = (ops.shape(condition)[0], *(1 for _ in condition.shape[1:]))
            draw = rng.rows_of_replica(rng.uniform, self.seed_generator, shape, self.compute_dtype)
            condition = ops.where(draw < self.condition_dropout, 0.0, condition)
        return super().forward_and_log_det(x, condition, training)

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        guidance: float = 0.0,
        denoise: bool = False,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw data `[num_samples, *event_shape]`, as the `sample` of every flow does.

        Args:
            num_samples, condition, seed, temperature, batch_size: those of `Flow.sample`.
            guidance: w; the parameters of each token are (1 + w) those given the condition - w
                those without one (classifier-free guidance). Samples show the condition more
                clearly, and differ less. It takes twice the work.
            denoise: whether to take the noise of a model with `noise=` off the samples, as
                `denoise` does, before they are rounded: one pass of the density more.

        Raises:
            ValueError: the guidance is negative, or the model is not one of a condition that was
                trained with `condition_dropout`; denoise is asked of a model without noise.
        """
        if denoise:
            self._check_is_noisy()
        elif not guidance:
            return super().sample(num_samples, condition, seed, temperature, batch_size=batch_size)
        if guidance:
            self._check_guidance(guidance)
        arguments = self._check_draw(num_samples, condition, seed, temperature)
        z = self._run(self.draw_latents, *arguments, jit=seed is None)
        strength = None
        if guidance:
            strength = np.full(int(num_samples), guidance, self.compute_dtype)
            strength = ops.convert_to_tensor(strength)
        method = self.generate_denoised if denoise else self.generate_guided
        return self._run_in_chunks(method, batch_size, z, arguments[-1], strength)

    def _check_guidance(self, guidance):
        check_guidance(guidance)
        if not self.has_guidance:
            raise ValueError(
                "Guidance expects a model with condition_shape= and condition_dropout=, which has "
                "learned its density with and without the condition. Received: condition_shape="
                f"{self.condition_shape}, condition_dropout={self.condition_dropout}"
            )

    def _check_is_noisy(self):
        if not self.is_noisy:
            raise ValueError(
                "Denoising expects a model with noise=, which has learned the density of noisy "
                "images. Received: one without"
            )

    def denoise(
        self, x: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """The mean of images given them with noise, as the model's density has it.

            E[x | y] = y + noise^2 grad log p(y)        (Tweedie's formula)

        It is exact where p is the density of images with Gaussian noise of the model's `noise=`,
        and best for images with that noise. The score is that of the density given the condition.

        Args:
            x: noisy images `[batch, *event_shape]`, real numbers in the units of the data.
            condition, batch_size: as in `log_prob`.

        Returns:
            Images `[batch, *event_shape]` in the same units, not rounded.

        Raises:
            ValueError: the model has no noise, or the shapes are others.
        """
        self._check_is_noisy()
        x = ops.convert_to_tensor(as_arrays(x))
        check_shape(x, self.event_shape)
        condition = self.check_condition(condition, x.shape[0])
        return self._run_in_chunks(self.denoised, batch_size, x, condition)

    def denoised(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """`denoise` in tensors."""
        layer = self.flow_layers[0]
        y = layer.scale(ops.cast(x, self.compute_dtype))
        return layer.unscale(self._without_noise(y, condition))

    def _without_noise(self, y, condition):
        """The mean of images in units of -1 to 1 given noisy ones y."""

        def log_density(y):
            start = ops.zeros((ops.shape(y)[0],), self.compute_dtype)
            layers = self.flow_layers[1:]
            z, log_det = self._through(layers, y, start, condition, training=False)
            return (self.base(z, condition=condition) + log_det,)

        (log_p,), pullback = value_and_pullback(log_density, [y])
        (score,) = pullback(ops.ones_like(log_p))
        return y + self.flow_layers[0].noise ** 2 * score

    def generate_denoised(
        self, z: Tensor, condition: Tensor | None = None, guidance: Tensor | None = None
    ) -> Tensor:
        """As `generate`, without the noise, with a guidance for each row `[batch]` or none."""
        z = ops.cast(z, self.compute_dtype)
        with guided(guidance):
            y = generate_through(self.flow_layers[1:], z, condition, training=None)
        y = self._without_noise(y, condition)
        return self.flow_layers[0].inverse(y, condition=condition)

    def generate_guided(self, z: Tensor, condition: Tensor, guidance: Tensor) -> Tensor:
        """As `generate`, with a guidance for each row `[batch]`."""
        with guided(guidance):
            return self.generate(z, condition)

    def draw_guided(
        self,
        noise: rng.BatchNoise | rng.RowNoise,
        condition: Tensor,
        temperature: float | Tensor,
        guidance: Tensor,
    ) -> Tensor:
        """As `draw`, with one guidance `[]` for all rows."""
        z = self.base.draw(noise, condition, temperature)
        strength = ops.broadcast_to(ops.cast(guidance, self.compute_dtype), (ops.shape(z)[0],))
        return self.generate_guided(z, condition, strength)

    @classmethod
    def of_size(cls, size: str, event_shape: Sequence[int], **kwargs) -> "TarFlow":
        """A model of `patch`, `depth`, `width`, `num_blocks` and `num_heads` by the name of a size.

        Args:
            size: "small", "medium" or "large".
            event_shape, **kwargs: arguments of the model.
        """
        if size not in SIZES:
            raise ValueError(f"size must be one of {list(SIZES)}. Received: {size!r}")
        return cls(event_shape, **{**SIZES[size], **kwargs})


def _noise_layer(noise, quantization_levels, others, dtype):
    """Gaussian noise instead of that of a level, unless other arguments exclude it."""
    wrong = {name: value for name, value in others.items() if value not in (None, False)}
    if quantization_levels is None or wrong:
        wrong["quantization_levels"] = quantization_levels
        came = ", ".join(f"{name}={value}" for name, value in wrong.items())
        raise ValueError(
            "noise= is Gaussian noise on discrete data: it expects quantization_levels=, images "
            "that the patch divides, and neither num_bins=, logit= nor "
            f"variational_dequantization=. Received: noise={noise!r}, {came}"
        )
    return GaussianNoise(noise, quantization_levels, dtype=dtype)


def _transform(depth, num_components, num_bins):
    """What each layer does to an element of a token."""
    if num_bins is not None:
        return HistogramCDF(num_bins)
    if num_components is not None:
        return LogisticMixtureCDF(num_components)
    return Affine(deep_log_scale(depth))


def _check_bins(num_bins, num_components, logit, depth):
    if num_bins is not None and logit is not None:
        raise ValueError(
            "num_bins is for data in [0, 1], without logit. Received: "
            f"num_bins={num_bins}, logit={logit}"
        )
    if num_bins is not None and num_components is not None and depth == 1:
        raise ValueError(
            "With num_bins, num_components is of the layers after the first. Received: "
            f"num_bins={num_bins}, num_components={num_components}, depth=1"
        )
