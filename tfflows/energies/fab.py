"""Flow annealed importance sampling bootstrap (Midgley et al. 2023).

https://arxiv.org/abs/2208.01893, algorithm 1.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.energies.annealed_importance import AnnealedImportance
from tfflows.energies.replay_buffer import ReplayBuffer
from tfflows.training.objective import DensityTraining, Objective

if TYPE_CHECKING:
    from tfflows.flow import Flow


@dataclasses.dataclass(frozen=True, eq=False)
class FAB(DensityTraining):
    """Training on the alpha divergence of order 2 by annealed draws, which find modes.

    Draws of the flow q are moved by annealed importance sampling towards p^2 / q, where p is large
    and the flow too small, and kept in a replay buffer. A step takes a batch of them by weight:

        loss = -mean of min(max_correction, q_then(x) / q(x)) log q(x)

    where q_then is the flow that made the weight of x, and only the last log q has a gradient.

    Example:
        flow.compile(keras.optimizers.Adam(1e-3, clipnorm=10.0))
        flow.fit_to_density(target, 10, 200, objective=tfflows.energies.FAB())

    Args:
        num_draws: annealed at once.
        steps_per_draw: training steps between.
        num_steps, num_leapfrog, step_size: those of `AnnealedImportance`.
        buffer_size: draws that are kept.
        min_buffer_size: draws before the first step.
        max_correction: largest ratio q_then / q.
        power: of the target p^power q^(1 - power).
    """

    num_draws: int = 512
    steps_per_draw: int = 4
    num_steps: int = 4
    num_leapfrog: int = 5
    step_size: float = 0.1
    buffer_size: int = 65_536
    min_buffer_size: int = 4096
    max_correction: float = 10.0
    power: float = 2.0

    def make_step(self) -> Objective:
        """The objective of one step, on a batch of the buffer."""
        return ReplayedDraws(self.max_correction)

    def fit(
        self,
        flow: "Flow",
        log_density: Callable,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        seed: rng.Seed,
        callbacks: Sequence[keras.callbacks.Callback] | None,
        verbose: int | str,
    ) -> keras.callbacks.History:
        """Train; `Flow.fit_to_density` calls it."""
        if not batch_size <= self.min_buffer_size <= self.buffer_size:
            raise ValueError(
                f"Expected batch_size <= min_buffer_size <= buffer_size. Received: {batch_size}, "
                f"{self.min_buffer_size}, {self.buffer_size}"
            )
        annealed = AnnealedImportance(
            flow, log_density, self.power, self.num_steps, self.num_leapfrog, self.step_size
        )
        seeds = np.random.default_rng(np.abs(np.asarray(rng.make_seed(seed)).astype("int64")))
        buffer = ReplayBuffer(self.buffer_size, int(seeds.integers(2**31)))

        def refill():
            drawn = annealed(self.num_draws, int(seeds.integers(2**31)))
            buffer.add(drawn.x, drawn.log_weights, drawn.log_prob)
            return {"annealed_acceptance": drawn.acceptance}

        self._fill(buffer, refill)
        progress = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            verbose=1 if verbose == "auto" else verbose,
            epochs=epochs,
            steps=steps_per_epoch,
            model=flow,
        )
        progress.on_train_begin()
        flow.stop_training, step, logs = False, 0, {}
        for epoch in range(epochs):
            progress.on_epoch_begin(epoch)
            losses = []
            for number in range(steps_per_epoch):
                progress.on_train_batch_begin(number)
                if step % self.steps_per_draw == 0:
                    logs = refill()
                losses.append(self._step(flow, buffer, batch_size))
                step += 1
                progress.on_train_batch_end(number, {"loss": losses[-1], **logs})
            logs = {**logs, "loss": float(np.mean(losses))}
            progress.on_epoch_end(epoch, logs)
            if flow.stop_training:
                break
        progress.on_train_end(logs)
        return flow.history

    def _fill(self, buffer, refill):
        """Draw until there are `min_buffer_size`, four times as often as it should take at most."""
        for _ in range(4 * -(-self.min_buffer_size // self.num_draws)):
            if len(buffer) < self.min_buffer_size:
                refill()
        if len(buffer) < self.min_buffer_size:
            raise ValueError(
                "Expected draws of finite weight to fill the buffer. "
                f"Received: {len(buffer)} of {self.min_buffer_size}. The density is NaN or -inf "
                "where the flow draws: see `importance` for where"
            )

    def _step(self, flow, buffer, batch_size):
        places, x, log_prob = buffer.draw(batch_size)
        loss = flow.train_on_batch({"x": x, "log_prob": log_prob.astype("float32")})
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {float(loss)}: lower the learning rate")
        now = ops.convert_to_numpy(flow.log_prob(x)).astype("float64")
        buffer.update(places, now, self.power)
        return float(loss)


class ReplayedDraws(Objective):
    """The loss of `FAB` on one batch, {"x": `[batch, *event]`, "log_prob": log q_then `[batch]`}.

    Args:
        max_correction: largest ratio q_then / q.
    """

    takes_data = False

    def __init__(self, max_correction: float):
        self.max_correction = max_correction

    def parse(self, inputs, condition=None):
        return inputs

    def terms(self, density, batch, training):
        log_prob = density.log_density(batch["x"])
        ratio = ops.exp(ops.minimum(batch["log_prob"] - log_prob, math.log(self.max_correction)))
        return batch["x"], [-ops.stop_gradient(ratio) * log_prob]
