"""A VAE whose densities have closed forms: linear, with normal noise."""

import keras
import numpy as np
from keras import ops
from scipy import stats

from tfflows import vae

LATENTS, DIMS, SIGMA = 2, 4, 0.5


class LinearVAE:
    """x = W z + b + sigma noise, z ~ N(0, 1), with the posterior's Gaussian at its optimum.

    Args:
        orthogonal: whether the columns of W are, so that the posterior is a diagonal Gaussian.
        kwargs: of the VAE.
    """

    def __init__(self, orthogonal: bool, **kwargs):
        rng = np.random.default_rng(0)
        w = rng.normal(size=(DIMS, LATENTS))
        self.w = np.linalg.qr(w)[0] * [1.5, 0.7] if orthogonal else w
        self.b = rng.normal(size=DIMS)
        self.vae = vae.VAE(
            keras.layers.Identity(),
            keras.layers.Identity(),
            (DIMS,),
            (LATENTS,),
            likelihood="gaussian",
            **kwargs,
        )
        self.layer = self.vae.flow_layers[-1]
        kernel = np.zeros((LATENTS, DIMS, 2))
        kernel[:, :, 0] = self.w.T
        bias = np.stack([self.b, np.full(DIMS, unclipped(np.log(SIGMA)))], axis=1)
        self.layer.head.kernel.assign(kernel.reshape(LATENTS, 2 * DIMS))
        self.layer.head.bias.assign(bias.ravel())
        self.precision = np.eye(LATENTS) + self.w.T @ self.w / SIGMA**2
        self.gain = np.linalg.solve(self.precision, self.w.T) / SIGMA**2
        self.set_posterior(self.gain, -0.5 * np.log(np.diag(self.precision)))

    def set_posterior(self, gain, log_scale) -> None:
        """Make q(z | x) the normal of mean gain (x - b) and of these log-scales."""
        gaussian = self.layer.posterior.flow_layers[-1].layer
        kernel = np.concatenate([np.zeros((DIMS, LATENTS)), gain.T], axis=1)
        bias = np.concatenate([unclipped(log_scale), -gain @ self.b])
        gaussian.kernel.assign(kernel)
        gaussian.bias.assign(bias)

    def draw(self, n: int, seed: int = 1) -> np.ndarray:
        """Rows of the model."""
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(n, LATENTS))
        x = z @ self.w.T + self.b + SIGMA * rng.normal(size=(n, DIMS))
        return x.astype("float32")

    def log_prob(self, x) -> np.ndarray:
        """log p(x) in closed form."""
        covariance = self.w @ self.w.T + SIGMA**2 * np.eye(DIMS)
        return stats.multivariate_normal(self.b, covariance).logpdf(x)

    def gap(self) -> float:
        """KL(q || posterior) of the diagonal Gaussian at its optimum, the same for each x."""
        diagonal = np.log(np.diag(self.precision)).sum()
        return 0.5 * (diagonal - np.linalg.slogdet(self.precision)[1])


def unclipped(log_scale):
    """The number whose `soft_clip` is the log-scale."""
    return log_scale / (1 - np.abs(log_scale) / np.log(1e3))


def numpy(x) -> np.ndarray:
    """A tensor as an array of float64."""
    return np.asarray(ops.convert_to_numpy(x), "float64")
