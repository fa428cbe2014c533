"""How many bits an image takes, and the likelihood beside it."""

import bz2
import io
import lzma
import math
import zlib

import numpy as np
from keras import ops

from tfflows.anomaly.densities import log_density
from tfflows.anomaly.scores import Score
from tfflows.backend.special import lgamma
from tfflows.backend.tensor_ops import Tensor, sum_event
from tfflows.flow import Flow

NUM_CLASSES = 9  # of the magnitudes of 8-bit differences: 0, 1, 2-3, 4-7, ..., 128-255


def code_length(x: Tensor) -> Tensor:
    """Bits of each image `[n, height, width, channels]` of whole numbers 0..255, `[n]`.

    Each pixel is predicted by the median edge detector of LOCO-I (Weinberger et al. 2000,
    https://doi.org/10.1109/83.855427) from those left of and above it. How many bits the difference
    has goes through an adaptive arithmetic coder; its sign and further bits are written as they
    are. The length of an adaptive code with Krichevsky and Trofimov's estimator (1981) depends on
    counts only, not on their order. There is no header, which is most of a small PNG.
    """
    x = ops.cast(x, "float32")
    padded = ops.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]])
    left, up, corner = padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]
    low, high = ops.minimum(left, up), ops.maximum(left, up)
    difference = ops.abs(x - ops.clip(left + up - corner, low, high))
    # counts[k]: of differences of at least 2^(k-1), then of those of k bits
    at_least = [sum_event(ops.cast(difference >= 2**k, "float32")) for k in range(NUM_CLASSES - 1)]
    total = math.prod(x.shape[1:])
    at_least = ops.stack([ops.full_like(at_least[0], total), *at_least], axis=1)
    counts = at_least - ops.pad(at_least[:, 1:], [[0, 0], [0, 1]])
    nats = math.lgamma(total + NUM_CLASSES / 2) - math.lgamma(NUM_CLASSES / 2)
    nats = nats - ops.sum(lgamma(counts + 0.5) - math.lgamma(0.5), axis=1)
    return nats / math.log(2) + ops.sum(at_least[:, 1:], axis=1)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
        file, "PNG", optimize=True
    )
    return file.getvalue()


COMPRESSORS = {
    "zlib": lambda image: zlib.compress(image.tobytes(), 9),
    "bz2": lambda image: bz2.compress(image.tobytes()),
    "lzma": lambda image: lzma.compress(image.tobytes()),
    "png": _png,
}


class ComplexityCorrected(Score):
    """-log p(x) less the length of x compressed, in bits (Serra et al. 2020, equation 2).

    (https://arxiv.org/abs/1909.11480.) What simple images gain in likelihood, because they are
    simple, a compressor tells too. For images of whole numbers 0..255.

    Args:
        model: a flow of images.
        compressor: "adaptive", the code of `code_length`; "png", "zlib", "bz2" or "lzma". Only the
            first can be exported.
    """

    def __init__(self, model: Flow, compressor: str = "adaptive"):
        super().__init__(_of_images(model))
        if compressor not in {"adaptive", *COMPRESSORS}:
            raise ValueError(
                f"compressor must be one of {['adaptive', *COMPRESSORS]}. Received: {compressor!r}"
            )
        self.compressor = compressor

    def compute(self, x):
        if self.compressor != "adaptive":
            raise ValueError(
                "Only the compressor 'adaptive' is a function of tensors. "
                f"Received: {self.compressor!r}"
            )
        return self._bits(x) - code_length(x)

    def _bits(self, x):
        return -log_density(self.model, x) / math.log(2)

    def of_inputs(self, inputs):
        if self.compressor == "adaptive":
            return super().of_inputs(inputs)
        compress = COMPRESSORS[self.compressor]
        lengths = [8 * len(compress(image)) for image in inputs[0].astype("uint8")]
        return self._evaluate(self._bits, inputs) - np.array(lengths, "float64")

    def statistics_of(self, inputs):
        return self.of_inputs(inputs)


class GivenComplexity(Score):
    """How much less likely an image is than normal ones of the same complexity, in deviations.

        score = (bits - a - b length) / (c + d length),    bits = -log2 p(x)

    where length is that of `code_length`. Serra et al. (2020) take bits - length, as if a bit of
    the one were worth a bit of the other. Here b comes from the normal images by least squares,
    and c + d length is their mean deviation from the line: an image of few pixels in use has less
    to deviate by.
    """

    fitted = ("line", "deviation")

    def __init__(self, model: Flow):
        super().__init__(_of_images(model))

    def fit_inputs(self, inputs):
        bits, lengths = self._evaluate(self._both, inputs).T
        self.line = _line(lengths, bits)
        errors = np.abs(bits - self.line[0] - self.line[1] * lengths)
        c, d = _line(lengths, errors)
        # The line may cross zero where there are no normal images.
        least = max(np.quantile(c + d * lengths, 0.01), 0.1 * errors.mean(), 1e-3)
        self.deviation = np.array([c, d, least])
        return super().fit_inputs(inputs)

    def _both(self, x):
        bits = -log_density(self.model, x) / math.log(2)
        return ops.stack([bits, code_length(x)], axis=1)

    def compute(self, x):
        both = self._both(x)
        bits, lengths = both[:, 0], both[:, 1]
        (a, b), (c, d, least) = map(_floats, (self.line, self.deviation))
        return (bits - a - b * lengths) / ops.maximum(c + d * lengths, least)


class UnusualComplexity(Score):
    """How far the length of an image's code is from that of normal images, either way.

    abs(log length - mean log length), where length is that of `code_length`. It is what
    `GivenComplexity` does not look at.
    """

    fitted = ("mean",)

    def __init__(self, model: Flow):
        super().__init__(_of_images(model))

    def fit_inputs(self, inputs):
        self.mean = np.float32(self._evaluate(self.statistic, inputs).mean())
        return super().fit_inputs(inputs)

    def statistic(self, x):
        return ops.log(code_length(x))

    def compute(self, x):
        return ops.abs(self.statistic(x) - self.mean)


def _line(x, y):
    """Intercept and slope of y over x by least squares; a constant where x does not vary."""
    spread = x.var()
    slope = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 0 else 0.0
    return np.array([y.mean() - slope * x.mean(), slope])


def _floats(values):
    return [float(value) for value in values]


def _of_images(model):
    if not (isinstance(model, Flow) and model.is_discrete and len(model.event_shape) == 3):
        what = "a table" if not isinstance(model, Flow) else "other data"
        raise ValueError(
            "Complexity is of images of whole numbers, [height, width, channels]: Expected a flow "
            f"that dequantizes them. Received: a {type(model).__name__} of {what}"
        )
    if model.data_range is not None and model.data_range[1] > 255:
        raise ValueError(
            "Complexity is of images of whole numbers up to 255. "
            f"Received: a flow of numbers up to {model.data_range[1]}"
        )
    return model
