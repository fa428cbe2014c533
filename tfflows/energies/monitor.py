"""What training on a density logs: the effective sample size and the acceptance."""

from collections.abc import Callable

import keras
import numpy as np

from tfflows.energies.importance import importance
from tfflows.energies.metropolis import metropolis_of_draws
from tfflows.utils.checks import check_positive


class Monitor(keras.callbacks.Callback):
    """Adds `ess`, `acceptance`, `log_z` and `elbo` of fresh draws to the logs of every n-th epoch.

    All are of the flow's own draws: the first two are high, too, where all of them miss a mode.
    `elbo` is the mean log-weight, at most log Z.

    Example:
        monitor = tfflows.energies.Monitor(target)
        history = flow.fit_to_density(target, epochs=20, callbacks=[monitor]).history
        print(history["ess"])

    Args:
        target: the log-density.
        num_samples: draws each time.
        every: epochs.
        seed: of the draws, the same each time.
    """

    def __init__(self, target: Callable, num_samples: int = 2048, every: int = 1, seed: int = 0):
        super().__init__()
        check_positive(num_samples=num_samples, every=every)
        self.target, self.num_samples, self.every, self.seed = target, num_samples, every, seed

    def on_epoch_end(self, epoch, logs=None):
        """Draw, and write into the logs."""
        if logs is None or (epoch + 1) % self.every:
            return
        draws = importance(self.model, self.target, self.num_samples, seed=self.seed)
        chain = metropolis_of_draws(draws, self.seed)
        logs |= {
            "ess": draws.ess,
            "acceptance": float(np.mean(chain.accepted)),
            "log_z": draws.log_z,
            "elbo": float(np.mean(draws.log_weights)),
        }
