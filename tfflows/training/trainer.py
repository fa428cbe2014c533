"""How a flow is trained and evaluated: `fit` by an objective, with checked data."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation, replicas, rng
from tfflows.backend.adam import fuse_adam
from tfflows.backend.tensor_ops import Tensor, batch_mean
from tfflows.distributions import Distribution
from tfflows.layers import FlowLayer
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.layers.equal_steps import scanned_layers
from tfflows.training.adaptation import warn_far_data
from tfflows.training.batch import Batch
from tfflows.training.callbacks import with_own_callbacks
from tfflows.training.checked_data import CheckedData, target_of
from tfflows.training.inputs import arrange, as_arrays, check_weights
from tfflows.training.objective import DensityTraining, MaximumLikelihood, Objective
from tfflows.training.objectives import get_objective
from tfflows.training.path_gradient import PathGradient
from tfflows.training.reverse_kl import ReverseKL
from tfflows.training.weighted_draws import Alpha2, ForwardKL
from tfflows.utils.finite_weights import check_finite_weights

DENSITY_OBJECTIVES = {
    "reverse_kl": ReverseKL,
    "path_gradient": PathGradient,
    "forward_kl": ForwardKL,
    "alpha_2": Alpha2,
}


class _Step(NamedTuple):
    """What `compute_loss` needs of the `call` before it, which Keras passes no other way."""

    row_losses: Tensor  # `[batch]`
    is_likelihood: bool


class Trainer(CheckedData):
    """A density with `compile`, `adapt`, `fit` and `evaluate`; the arguments are those of Density.

    The logs carry `loss` (the objective and regularizers), and where the loss is the likelihood
    `nll` in nats, `bits_per_dim` where the data are images, and `evaluations` of the field per
    solve where a layer is a ContinuousFlow.
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer] | FlowLayer,
        event_shape: Sequence[int],
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(layers, event_shape, base, condition_shape, **kwargs)
        self.objective: Objective = MaximumLikelihood()
        self.scan_layers = False
        self._step: _Step | None = None
        self._logs_likelihood = True
        self._trained_weights: tuple | None = None
        self._is_adapted = False  # as far as `train_on_batch` has looked

    def build(self, input_shape):
        if not self.built:  # and not again on loading; Keras takes no new metrics afterwards
            self._nll_metric = keras.metrics.Mean(name="nll")
            is_image = self.is_discrete or len(self.event_shape) == 3
            has_bits = is_image and not self.is_noisy
            self._bits_metric = keras.metrics.Mean(name="bits_per_dim") if has_bits else None
            if any(continuous_flows(self.flow_layers)):
                self._evaluations_metric = keras.metrics.Mean(name="evaluations")
        super().build(input_shape)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
        *,
        objective: str | Objective = "likelihood",
        scan_layers: bool = False,
        time_exponent: None = None,
    ) -> None:
        """`keras.Model.compile`, with an objective instead of a loss.

        Args:
            optimizer: a Keras optimizer, or the name of one.
            loss, loss_weights, metrics, weighted_metrics: must be None, because a flow has no
                targets to compare its output with.
            run_eagerly, jit_compile, auto_scale_loss: those of Keras.
            steps_per_execution: training steps per compiled call, between which callbacks are
                called. "auto": `fit` times a step of arrays, and makes as many as take 0.2 s, at
                most 64; one, where a callback of your own has `on_train_batch_begin` or `_end`.
            objective: what `fit` minimises: "likelihood", "flow_matching", "ot_flow_matching", or
                an object such as `FlowMatching(time_exponent=2.0)` or `ReverseKL(log_density)`.
                `evaluate` reports the likelihood in any case.
            scan_layers: whether layers that repeat, such as Glow's steps, are compiled once, in one
                loop over their weights: a deep stack compiles faster, and its steps take longer.
            time_exponent: an argument of `FlowMatching` since version 0.2; must be None.

        Raises:
            ValueError: a loss or metric was given, or there is no such objective, or it cannot
                train this flow.
        """
        refused = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        for name, value in refused.items():
            if value is not None:
                raise ValueError(
                    "A flow adds its own loss, the negative log-likelihood of its data, and has no "
                    f"targets to compare its output with: choose by `objective=`. "
                    f"Received: {name}={value!r}"
                )
        if time_exponent is not None:
            raise ValueError(
                "`time_exponent` is now an argument of the objective: "
                f"objective=FlowMatching(time_exponent={time_exponent!r})"
            )
        objective = get_objective(objective)
        objective.check(self)
        self.objective, self.scan_layers = objective, scan_layers
        self._trained_weights = None
        super().compile(
            optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        replicas.clip_sum_of_replicas(self)
        fuse_adam(self.optimizer)

    def get_compile_config(self):
        """Keras' own, and the objective; a `ReverseKL` holds a function, which no file keeps."""
        config = super().get_compile_config()
        if config and not isinstance(self.objective, ReverseKL):
            config = {**config, "objective": keras.saving.serialize_keras_object(self.objective)}
        if config and self.scan_layers:
            config = {**config, "scan_layers": self.scan_layers}
        return config

    def compile_from_config(self, config):
        """Compile as `get_compile_config` says; Keras would not, as `compile` is ours."""
        config = keras.saving.deserialize_keras_object(config)
        time_exponent = config.pop("time_exponent", 1.0)  # of version 0.1
        objective = get_objective(config.pop("objective", "likelihood"), time_exponent)
        self.compile(**config, objective=objective)
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def call(self, inputs, condition=None, training=None):
        objective = self.objective if training else self.evaluation_objective()
        is_xla = compilation.xla_scope(self.compiled and self.jit_compile)
        with is_xla, scanned_layers(self.scan_layers):
            batch = objective.parse(inputs, condition)
            output, terms = objective.terms(self, batch, training)
            for term in terms:
                self.add_loss(batch_mean(term))
        self._step = _Step(sum(terms[1:], terms[0]), objective.is_likelihood)
        return output

    def evaluation_objective(self) -> Objective:
        """What `evaluate` and validations report, whatever `fit` minimises."""
        return MaximumLikelihood()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum of the add_loss terms, each row's times its `sample_weight`."""
        step, self._step = self._step, None
        if step is None:
            raise ValueError("compute_loss belongs to the call before it: call the flow first")
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if sample_weight is not None:
            # add_loss terms never see sample_weight, so the difference is added here.
            sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), step.row_losses.dtype)
            difference = batch_mean((sample_weight - 1) * step.row_losses)
            loss = loss + self._aggregate_additional_loss(difference)
        self._logs_likelihood = step.is_likelihood
        if step.is_likelihood:
            self._update_metrics(step.row_losses, sample_weight)
        return loss

    def _update_metrics(self, nll, sample_weight):
        self._nll_metric.update_state(nll, sample_weight)
        if self._bits_metric is not None:
            self._bits_metric.update_state(nll / (self.dims * math.log(2)), sample_weight)
        counts = [layer.pop_evaluations() for layer in continuous_flows(self.flow_layers)]
        counts = [count for count in counts if count is not None]
        if counts:
            self._evaluations_metric.update_state(sum(counts))

    @property
    def metrics(self) -> list:
        """Its own; not those of flows within it, which have the same names and no updates."""
        flows = [layer for layer in self._flatten_layers(False) if isinstance(layer, Trainer)]
        inner = {id(metric) for flow in flows for metric in flow.metrics}
        return [metric for metric in super().metrics if id(metric) not in inner]

    def get_metrics_result(self):
        """The metrics by name, without those of the likelihood where the last step had none."""
        results = super().get_metrics_result()
        hidden = () if self._logs_likelihood else ("nll", "bits_per_dim", "evaluations")
        return {name: value for name, value in results.items() if name not in hidden}

    def fit(
        self, x: Any = None, y: Any = None, *args, device_data: bool | str = "auto", **kwargs
    ) -> keras.callbacks.History:
        """`keras.Model.fit` on x, (x, condition), dicts of these, tf.data, or generators.

        Batches of a dataset are x, (x, condition) or (x, condition, weight), or dicts. Layers that
        were never adapted take their statistics first, from up to 10,000 rows (fewer of large
        events), as `adapt` takes them; not where the weights were trained or set before.
        `sample_weight` `[n]` weights the rows as in Keras: the loss is the sum of weighted terms
        over the number of rows, `nll` the weighted mean. With the objective `ReverseKL` there are
        no data, but `epochs` and `steps_per_epoch`. Callbacks that monitor `nll`, `bits_per_dim`
        or `evaluations` take less for better, unless they have a mode.

        `device_data` says whether arrays go to the device at once and stay there, where batches
        are gathered; "auto" does so up to 1 GiB, or an eighth of an accelerator's memory.

        Raises:
            MemoryError: the device has no memory for a batch; what to lower is said.
            ValueError: data are empty, of the wrong shape, out of range or not finite.
            FloatingPointError: the loss became NaN or infinite.
        """
        arguments = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        check_finite_weights(self.weights)
        should_adapt = self._should_adapt()
        if isinstance(self.objective, ReverseKL):
            batch = self._prepare_draws(arguments, self.objective)
        else:
            batch = self._prepare_data(arguments, should_adapt)
        validation = self._check_validation(arguments)
        if should_adapt:
            statistics = batch().spread(self._max_adapt_rows)
            self._adapt(statistics, force=False)
            if validation is not None:
                warn_far_data("validation data", validation, statistics)
        self._look_at_trainable()
        arguments["callbacks"] = with_own_callbacks(arguments.get("callbacks"))
        replicas.hand_out_batches(arguments, self)
        return self._fit(arguments, device_data)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, *args, **kwargs
    ) -> Any:
        """`keras.Model.train_on_batch`; layers that were never adapted take their statistics first.

        Args:
            x: x, (x, condition) or a dict of them.
            y: the condition, where x does not hold it, or None.
            sample_weight: weights of the rows `[n]`, or None.
            args, kwargs: those of Keras.
        """
        if self.objective.takes_data and not self._is_adapted and self._should_adapt():
            x_and_condition, _, _ = arrange((x, y), self.condition_shape is not None)
            x_and_condition = self.data_schema.in_order(x_and_condition)
            self._adapt(Batch.parse(as_arrays(x_and_condition)), force=False)
        self._is_adapted = True
        return super().train_on_batch(x, y, sample_weight, *args, **kwargs)

    def predict(self, x: Any, *args, **kwargs) -> np.ndarray:
        """Latents z `[n, *latent_shape]`, as calling the flow gives them.

        `keras.Model.predict` on what `fit` takes, a batch at a time; densities come from
        `log_prob(x, batch_size=...)`.

        Args:
            x: x, (x, condition), a dict of them, or a dataset.
            args, kwargs: those of Keras.
        """
        with self._synced():
            return super().predict(self._open(x)[0], *args, **kwargs)

    def _look_at_trainable(self):
        """Make the step anew where `trainable` of a layer has changed since the last one."""
        before, now = self._trained_weights, tuple(w.path for w in self.trainable_weights)
        if before == now:
            return
        if before is not None and keras.backend.backend() == "jax":
            raise ValueError(
                "`trainable` of a layer has changed, and on JAX the optimizer's state is that of "
                "the weights that trained before: call compile(optimizer) again"
            )
        self.train_function, self._trained_weights = None, now

    def evaluate(self, x: Any = None, y: Any = None, *args, sample_weight=None, **kwargs) -> Any:
        """`keras.Model.evaluate` on what `fit` takes; the loss is the likelihood."""
        if kwargs.get("_use_cached_eval_dataset"):  # the validation that fit itself calls
            return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)
        data, _ = self._open(x)
        weight = check_weights(sample_weight)
        arguments = inspect.signature(super().evaluate).bind(data, None, *args, **kwargs).arguments
        arguments |= {"y": target_of(data, y, weight), "sample_weight": weight}
        return self._evaluate(arguments)

    def fit_to_density(
        self,
        log_density: Callable,
        epochs: int = 1,
        steps_per_epoch: int = 100,
        batch_size: int = 512,
        condition: Tensor | None = None,
        annealing_steps: int = 0,
        seed: rng.Seed = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: int | str = "auto",
        objective: str | DensityTraining = "reverse_kl",
    ) -> keras.callbacks.History:
        """Train on an unnormalised density instead of data: `fit` by the objective `ReverseKL`.

        Layers that wait for statistics take those of the flow's first draws.

        Args:
            log_density, condition, annealing_steps, seed: those of `ReverseKL`.
            epochs, steps_per_epoch, callbacks, verbose: as in `fit`.
            batch_size: draws per step.
            objective: "reverse_kl"; "path_gradient", its gradient with less noise near the density,
                at twice the time per step (see `PathGradient`); "forward_kl" or "alpha_2", which
                weigh the draws (see `ForwardKL`, `Alpha2`); or a loop, `tfflows.energies.FAB()`.

        Raises:
            ValueError: there is no such objective, the flow is not compiled, its data are discrete,
                draws of its base jump (as those of mixtures), `log_density` gives another shape, or
                annealing has no end.
            FloatingPointError: the loss became NaN or infinite.
        """
        if not self.compiled:
            raise ValueError("Expected a compiled flow: call compile(optimizer) first")
        if isinstance(objective, DensityTraining):
            if condition is not None or annealing_steps:
                raise ValueError(
                    f"{type(objective).__name__} takes neither `condition` nor `annealing_steps`"
                )
            self._prepare_draws_of_loop(ForwardKL(log_density, batch_size, seed=seed))
            with self._trained_by(objective.make_step()):
                return objective.fit(
                    self,
                    log_density,
                    epochs=epochs,
                    steps_per_epoch=steps_per_epoch,
                    batch_size=batch_size,
                    seed=seed,
                    callbacks=callbacks,
                    verbose=verbose,
                )
        if objective not in DENSITY_OBJECTIVES:
            raise ValueError(
                f"objective must be one of {list(DENSITY_OBJECTIVES)}, or an object such as "
                f"tfflows.energies.FAB(). Received: {objective!r}"
            )
        make = DENSITY_OBJECTIVES[objective]
        trained = make(log_density, batch_size, condition, annealing_steps, seed)
        trained.check(self)
        with self._trained_by(trained):
            return self.fit(
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                callbacks=callbacks,
                verbose=verbose,
            )

    @contextlib.contextmanager
    def _trained_by(self, objective) -> Iterator[None]:
        """Another objective for a while; the compiled step is of one objective."""
        before, self.objective = self.objective, objective
        self.train_function, self._step_seconds = None, {}
        try:
            yield
        finally:
            self.objective = before
            self.train_function, self._step_seconds = None, {}
