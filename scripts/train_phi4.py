"""Train flows on lattice phi^4 theory, and measure what independence Metropolis makes of them.

    python scripts/train_phi4.py --length 8 --minutes 5 --out runs/phi4

trains a continuous flow with the symmetries of the lattice on the action of Albergo et al. 2019 by
path gradients, and writes `OUT/L8.weights.h5`, `OUT/L8.json` and `OUT/L8-hmc.json`. A run that is
there already goes on from its weights; otherwise `--start L6.weights.h5` begins with the kernels of
a smaller lattice. Needs no data and no TensorFlow (KERAS_BACKEND=jax).
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import ops

import tfflows
from tfflows import energies
from tfflows.networks import LatticeField
from tfflows.ode import FixedStep

STEPS_PER_EPOCH = 20
SPREAD = 0.45  # of phi at a site, about


def make_flow(length, num_waves, num_times, num_steps):
    """A flow `[L, L, 1]` by one field, which begins by scaling sites to about the right spread."""
    solver = FixedStep("rk4", num_steps, unroll=False)
    field = LatticeField(num_waves, num_times)
    layer = tfflows.layers.ContinuousFlow(field, solver, solver)
    flow = tfflows.Flow(layer, (length, length, 1))
    kernel = np.zeros(field.kernel.shape, "float32")
    kernel[0, 0, 0] = np.log(1 / SPREAD)
    field.kernel.assign(kernel)
    return flow


def start_from(flow, path, arguments):
    """Take the weights of a smaller lattice; kernels that reach further begin with zeros."""
    (field,) = (layer.network for layer in flow.flow_layers)
    length = int(Path(path).name.split(".")[0].removeprefix("L"))
    smaller = make_flow(length, arguments.waves, arguments.times, arguments.solver_steps)
    smaller.load_weights(path)
    source = smaller.flow_layers[0].network
    kernel, orbits = np.zeros(field.kernel.shape, "float32"), source.kernel.shape[-1]
    members = field.members[:orbits] / source.members
    kernel[..., :orbits] = ops.convert_to_numpy(source.kernel) * members
    field.kernel.assign(kernel)
    field.frequencies.assign(source.frequencies)


class Pace(keras.callbacks.Callback):
    """A learning rate that falls like a cosine over the time or the steps, whichever end first."""

    def __init__(self, arguments, target, weights, fine):
        super().__init__()
        self.arguments, self.target, self.weights = arguments, target, weights
        self.fine, self.most, self.most_weights = fine, 0.0, None
        self.started, self.steps, self.log = time.time(), 0, []
        self.saved = self.started
        self.factor, self.best, self.best_weights = 1.0, np.inf, None

    def _done(self):
        minutes = (time.time() - self.started) / 60
        return max(minutes / self.arguments.minutes, self.steps / self.arguments.steps)

    def on_epoch_begin(self, epoch, logs=None):
        """Set the rate."""
        warm = min(1.0, (1 + self.steps) / 100)
        done = min(1.0, self._done())
        rate = (
            self.factor
            * self.arguments.rate
            * warm
            * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))
        )
        self.model.optimizer.learning_rate.assign(rate)

    def on_epoch_end(self, epoch, logs=None):
        """Print how far it is; stop at the end of the time."""
        self.steps += STEPS_PER_EPOCH
        if logs["loss"] < self.best:
            self.best, self.best_weights = logs["loss"], self.model.get_weights()
        elif logs["loss"] > self.best + 20:
            self._go_back(logs["loss"])
        if epoch % self.arguments.log_every == 0 or self._done() >= 1:
            # Training may find a field at which the coarse solver errs in its favour.
            self.fine.set_weights(self.model.get_weights())
            draws = energies.importance(self.fine, self.target, 2048, seed=epoch)
            entry = {
                "step": self.steps,
                "seconds": round(time.time() - self.started, 1),
                "loss": float(logs["loss"]),
                "ess": draws.ess,
                "acceptance": energies.metropolis_of_draws(draws, seed=epoch).acceptance,
            }
            self.log.append(entry)
            if draws.ess >= self.most:
                self.most, self.most_weights = draws.ess, self.model.get_weights()
            print(f"L={self.arguments.length}", json.dumps(entry), flush=True)
        if time.time() - self.saved > 20:
            self.model.save_weights(self.weights)
            self.saved = time.time()
        if self._done() >= 1:
            self.model.stop_training = True

    def _go_back(self, loss):
        """Take the best weights again, and half of the rate: a step went too far."""
        self.factor *= 0.5
        print(f"L={self.arguments.length} loss {loss}: rate x {self.factor}", flush=True)
        self.model.set_weights(self.best_weights)
        optimizer = self.model.optimizer
        for variable in [*optimizer._momentums, *optimizer._velocities]:
            variable.assign(ops.zeros_like(variable))


def train(flow, fine, target, arguments, weights):
    """Train for the time that the arguments give, and return the log."""
    optimizer = keras.optimizers.Adam(arguments.rate, beta_2=0.99, clipnorm=arguments.clip)
    flow.compile(optimizer, jit_compile=True)
    pace = Pace(arguments, target, weights, fine)
    try:
        flow.fit_to_density(
            target,
            epochs=1 + arguments.steps // STEPS_PER_EPOCH,
            steps_per_epoch=STEPS_PER_EPOCH,
            batch_size=arguments.batch,
            seed=arguments.seed,
            callbacks=[pace],
            verbose=0,
            objective=arguments.objective,
        )
    except FloatingPointError as error:  # what was best until then is measured
        print(f"L={arguments.length} {error}", flush=True)
        if pace.most_weights is None:
            raise
    flow.set_weights(pace.most_weights)
    return pace.log


def with_errors(pairs):
    """JSON of means and errors."""
    return {name: [np.asarray(part).tolist() for part in pair[:2]] for name, pair in pairs.items()}


def measure(flow, fine, target, arguments):
    """Acceptance, effective sample size and observables of draws, by a solver of more steps."""
    fine.set_weights(flow.get_weights())
    count, size = arguments.draws, min(arguments.draws, 8192)
    started = time.time()
    draws = energies.importance(fine, target, count, seed=10, batch_size=size)
    seconds = time.time() - started
    coarse = ops.convert_to_numpy(flow.log_prob(draws.x[:2048]))
    exact = ops.convert_to_numpy(fine.log_prob(draws.x[:2048]))
    chain = energies.metropolis_of_draws(draws, seed=11)
    blocks = draws.log_weights.reshape(16, -1)
    of_blocks = [energies.WeightedDraws(block, block).ess for block in blocks]
    ess_error = np.std(of_blocks) / 4
    values = target.observables(draws.x)
    of_chain = {name: chain.mean(target.observables(chain.x)[name]) for name in values}
    return {
        "draws": count,
        "seconds": seconds,
        "acceptance": chain.acceptance,
        "ess": draws.ess,
        "ess_error_of_16_blocks": float(ess_error),
        "log_z": [draws.log_z, draws.log_z_error],
        "kl_divergence": draws.kl_divergence,
        "log_weight_std": float(draws.log_weights.std()),
        "solver_error_log_prob": [
            float(np.abs(coarse - exact).mean()),
            float(np.abs(coarse - exact).max()),
        ],
        "weighted": with_errors({name: draws.mean(each) for name, each in values.items()}),
        "metropolis": with_errors(of_chain),
        "metropolis_time_magnetization": of_chain["magnetization"][2],
        "metropolis_time_susceptibility": of_chain["susceptibility"][2],
    }


def reference(target, arguments):
    """Observables by HMC, and how long its chains remember."""
    generator = np.random.default_rng(20)
    shape = (arguments.hmc_chains, *target.event_shape)
    start = 0.5 * generator.standard_normal(shape)
    started = time.time()
    chain = energies.hmc(
        target,
        start,
        arguments.hmc_samples,
        step_size=1 / arguments.hmc_leapfrog,
        num_leapfrog=arguments.hmc_leapfrog,
        burn_in=500,
        seed=21,
    )
    shape = chain.accepted.shape
    values = target.observables(chain.x.reshape(-1, *target.event_shape))
    found = {k: chain.mean(v.reshape(*shape, *v.shape[1:])) for k, v in values.items()}
    return {
        "chains": shape[1],
        "trajectories": shape[0],
        "gradients_per_trajectory": arguments.hmc_leapfrog,
        "seconds": time.time() - started,
        "acceptance": chain.acceptance,
        "hmc": with_errors(found),
        "time_magnetization": found["magnetization"][2],
        "time_susceptibility": found["susceptibility"][2],
    }


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=6, choices=[6, 8, 10, 12, 14])
    parser.add_argument("--out", type=Path, default=Path("runs/phi4"))
    parser.add_argument("--minutes", type=float, default=30.0, help="of training")
    parser.add_argument("--steps", type=int, default=20_000, help="at most")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--clip", type=float, default=10.0)
    parser.add_argument("--objective", default="path_gradient")
    parser.add_argument("--waves", type=int, default=12)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--solver-steps", type=int, default=20)
    parser.add_argument("--start", help="weights of a smaller lattice, named L6.weights.h5")
    parser.add_argument("--draws", type=int, default=65_536, help="that are measured; 16 | draws")
    parser.add_argument("--hmc-chains", type=int, default=256)
    parser.add_argument("--hmc-samples", type=int, default=1000, help="0 leaves HMC out")
    parser.add_argument("--hmc-leapfrog", type=int, default=10)
    parser.add_argument("--hmc-only", action="store_true", help="train nothing")
    parser.add_argument("--log-every", type=int, default=5, help="epochs of 20 steps")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def train_and_measure(target, arguments):
    """Train a flow, or go on with one, and write down its weights and numbers."""
    weights = arguments.out / f"L{arguments.length}.weights.h5"
    keras.utils.set_random_seed(arguments.seed)
    sizes = (arguments.length, arguments.waves, arguments.times)
    flow = make_flow(*sizes, arguments.solver_steps)
    fine = make_flow(*sizes, 2 * arguments.solver_steps)
    if weights.exists():
        flow.load_weights(weights)
    elif arguments.start:
        start_from(flow, arguments.start, arguments)
    log = train(flow, fine, target, arguments, weights)
    flow.save_weights(weights)
    settings = {key: str(value) for key, value in vars(arguments).items()}
    result = {"settings": settings, "log": log, **measure(flow, fine, target, arguments)}
    path = arguments.out / f"L{arguments.length}.json"
    path.write_text(json.dumps(result, indent=1))
    print(path, {key: result[key] for key in ("acceptance", "ess", "log_z")}, flush=True)


def main():
    """Train, measure, and write down."""
    arguments = parse_arguments()
    if keras.backend.backend() == "jax":
        import jax

        # TF32 would round the field and not its divergence: log-densities would be off by 0.01.
        jax.config.update("jax_default_matmul_precision", "highest")
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = energies.Phi4(arguments.length)
    if not arguments.hmc_only:
        train_and_measure(target, arguments)
    if arguments.hmc_samples:
        found = reference(target, arguments)
        path = arguments.out / f"L{arguments.length}-hmc.json"
        path.write_text(json.dumps(found, indent=1))
        print(path, {key: found[key] for key in ("acceptance", "seconds")}, flush=True)


if __name__ == "__main__":
    main()
