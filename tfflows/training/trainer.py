"""How a flow is trained and evaluated: `fit` on the negative log-likelihood, with checked data."""

import inspect
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from tfflows.backend import rng
from tfflows.backend.tensor_ops import batch_mean
from tfflows.layers import Dequantize, FlowLayer
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.training.flow_matching import OBJECTIVES, check_objective
from tfflows.training.inputs import (
    as_arrays,
    check_events,
    check_weights,
    first_batch,
    first_rows,
    is_array,
    split_condition,
)
from tfflows.training.reverse_kl import ReverseKL, check_log_density, make_steps


class _StopOnNaN(keras.callbacks.Callback):
    """Stand before every other callback, so that no checkpoint is made of NaN weights."""

    # Reading the loss waits for the step, which an accelerator should not do after each one.
    every = 20

    def on_train_batch_end(self, batch, logs=None):
        step = batch + 1  # after several of them where steps_per_execution says so
        if step >= self._next:
            self._check(logs, f"seen at step {step}")
            self._next = step + self.every

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._next = epoch + 1, self.every

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "at its end")

    def _check(self, logs, when):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"Training stopped: the loss is {loss} in epoch {self._epoch}, {when}. Either it "
                "diverged, and a smaller learning rate, clipnorm= or standardized data help, or a "
                "batch holds NaN, inf or values out of range"
            )


class LikelihoodTraining:
    """The training half of `Flow`: `adapt`, `fit`, `evaluate` and the loss, for a `keras.Model`.

    The model has `flow_layers`, `event_shape`, `dims`, `data_range`, `_check_condition` and the
    metrics, and leaves the losses of a batch's rows in `_batch_loss` when it is called: negative
    log-densities, unless `_is_matching`.
    """

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "rmsprop",
        *args,
        objective: str = "likelihood",
        time_exponent: float = 1.0,
        **kwargs,
    ) -> None:
        """`keras.Model.compile`, without a loss of the user's own.

        Args:
            optimizer: a Keras optimizer, or the name of one.
            objective: what `fit` minimises: "likelihood" (the negative log-likelihood), or, of a
                flow with one ContinuousFlow, "flow_matching" or "ot_flow_matching", which solve
                nothing: see `tfflows.flow_matching`. `evaluate` reports the likelihood in any case.
            time_exponent: of flow matching, which takes times u^time_exponent, u ~ U(0, 1): above
                1 for data of fine structure.
            *args, **kwargs: those of Keras.

        Raises:
            ValueError: no such objective or exponent, or the flow is not made for it.
        """
        if objective not in ("likelihood", *OBJECTIVES):
            raise ValueError(
                f"objective must be one of {['likelihood', *OBJECTIVES]}. Received: {objective!r}"
            )
        if objective != "likelihood":
            check_objective(self, objective)
        if not 0 < time_exponent < math.inf or (time_exponent != 1 and objective == "likelihood"):
            raise ValueError(
                "time_exponent must be a positive number, and is for flow matching. "
                f"Received: {time_exponent!r} with objective={objective!r}"
            )
        self.objective, self.time_exponent = objective, time_exponent
        super().compile(optimizer, *args, **kwargs)

    def get_compile_config(self):
        """Keras' own, and the objective."""
        config = super().get_compile_config()
        ours = {"objective": self.objective, "time_exponent": self.time_exponent}
        return config and {**config, **ours}

    def compile_from_config(self, config):
        """Compile as `get_compile_config` says; Keras would leave it, for `compile` is not its."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def adapt(self, data, max_rows: int = 10_000) -> None:
        """Take the statistics of data-dependent layers (ActNorm, BatchNorm, Whiten, ...) anew.

        Args:
            data: x, (x, condition) or a dict of arrays, or a dataset of such batches.
            max_rows: how many rows are used at most: evenly spread ones of arrays, the first ones
                of a dataset.
        """
        if data is None:
            raise ValueError("adapt wants data: x, (x, condition), a dict or a dataset")
        arrays = as_arrays(data) if is_array(data) else first_rows(data, max_rows)
        self._adapt(arrays, max_rows, force=True)

    def _adapt(self, arrays, max_rows, force):
        x, condition = split_condition(arrays)
        rows = np.unique(np.linspace(0, len(x) - 1, min(len(x), max_rows)).astype(int))
        x = np.asarray(ops.convert_to_numpy(x)[rows])
        if condition is not None:
            condition = ops.convert_to_numpy(condition)[rows]
        self._check_events(x)
        condition = self._check_condition(condition, len(x))
        takes = [type(layer).adapt is not FlowLayer.adapt for layer in self.flow_layers]
        for place, layer in enumerate(self.flow_layers):
            if not any(takes[place:]):
                break  # before a continuous flow at the end solves its equation for nothing
            layer.adapt(x, condition, force)
            x = layer.forward_in_chunks(x, condition)

    @property
    def needs_adapt(self) -> bool:
        """Whether some layer still waits for its statistics."""
        return any(layer.needs_adapt for layer in self.flow_layers)

    def fit(self, x=None, y=None, *args, **kwargs):
        """`keras.Model.fit` on x, (x, condition), dicts of these, tf.data, or generators.

        Data-dependent layers that were never adapted take their statistics first, from up to
        10,000 rows of arrays (fewer of large events) or from the first batch. `sample_weight`
        `[n]` weights the rows as in Keras: the loss is the sum of weighted terms over the number
        of rows, `nll` the weighted mean. Raises ValueError for data that are empty, of the wrong
        shape, out of range or not finite, and FloatingPointError when the loss becomes NaN.
        """
        arguments = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        x, batch = self._check_data(x)
        arguments["x"] = x
        arguments["sample_weight"] = check_weights(arguments.get("sample_weight"))
        arguments["y"] = self._target(x, y, arguments["sample_weight"])
        arguments["validation_data"] = self._check_validation(arguments.get("validation_data"))
        if self.needs_adapt:
            # An image has many elements a channel, so that fewer rows give its statistics.
            max_rows = min(10_000, max(256, 2**20 // self.dims))
            self._adapt(batch, max_rows, force=False)
        callbacks = arguments.get("callbacks") or []
        if not isinstance(callbacks, keras.callbacks.CallbackList):
            several = isinstance(callbacks, list | tuple)
            arguments["callbacks"] = [_StopOnNaN(), *(callbacks if several else [callbacks])]
        if not is_array(x):
            arguments.setdefault("shuffle", False)  # Keras warns that it cannot shuffle a dataset
        return super().fit(**arguments)

    def evaluate(self, x=None, y=None, *args, sample_weight=None, **kwargs):
        """`keras.Model.evaluate` on what `fit` takes."""
        if kwargs.get("_use_cached_eval_dataset"):  # the validation that fit itself calls
            return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)
        x, _ = self._check_data(x)
        sample_weight = check_weights(sample_weight)
        y = self._target(x, y, sample_weight)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def fit_to_density(
        self,
        log_density: Callable,
        epochs: int = 1,
        steps_per_epoch: int = 100,
        batch_size: int = 512,
        condition=None,
        annealing_steps: int = 0,
        seed: rng.Seed = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: int | str = "auto",
    ) -> keras.callbacks.History:
        """Train on an unnormalised density in place of data, by the reverse KL divergence.

        The logs carry `loss`, the mean of log q(x) - log_density(x) over draws x of the flow: the
        negative evidence lower bound of variational inference. It is at least -log Z, Z the
        integral of the density, and reaches that where the flow is the density. Layers that wait
        for statistics take those of the flow's first draws.

        Args:
            log_density: x `[batch, *event_shape]` -> log-densities `[batch]`, up to a constant, in
                `keras.ops` or functions of the backend; finite wherever the flow may draw.
            epochs: number of epochs.
            steps_per_epoch: steps of the optimizer in each.
            batch_size: draws a step.
            condition: one row for all draws, or `[batch_size, ...]`, where the flow is conditional.
            annealing_steps: first steps, over which the weight of the log-density in the loss rises
                from 0.01 to 1 (Rezende and Mohamed 2015, equation 20): the flow finds modes far
                apart while they are shallow.
            seed: None (fresh), an integer or a `keras.random.SeedGenerator`.
            callbacks: as in `fit`; their `model` holds the flow as `model.flow`.
            verbose: as in `fit`.

        Raises:
            ValueError: the flow is not compiled, its data are discrete, draws of its base jump (as
                those of mixtures), `log_density` gives another shape, or annealing has no end.
            FloatingPointError: the loss became NaN or infinite.
        """
        if not self.compiled:
            raise ValueError("fit_to_density wants a compiled flow: call compile(optimizer) first")
        condition = self._check_condition(condition, batch_size)
        check_log_density(self, log_density, condition)
        steps = make_steps(seed, epochs * steps_per_epoch, annealing_steps)
        if self.needs_adapt:
            self._adapt(self.sample(batch_size, condition, seed), batch_size, force=False)
        model = ReverseKL(self, log_density, batch_size, condition)
        several = min(self.steps_per_execution, steps_per_epoch)
        model.compile(self.optimizer, jit_compile=self.jit_compile, steps_per_execution=several)
        return model.fit(
            steps,
            batch_size=1,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            callbacks=[_StopOnNaN(), *(callbacks or [])],
            verbose=verbose,
        )

    def _check_data(self, data):
        """Data that Keras takes, and arrays of a part of them; ValueError for what cannot be."""
        if data is None:
            raise ValueError("The flow wants data: x, (x, condition), a dict or a dataset")
        if is_array(data):
            data = batch = as_arrays(data)
        else:
            batch, data = first_batch(data)
        x, condition = split_condition(batch)
        self._check_events(x)
        self._check_condition(condition, x.shape[0])
        return data, batch

    def _check_events(self, x):
        integers = isinstance(self._first_layer(), Dequantize)
        check_events(x, self.event_shape, self.data_range, integers)

    def _check_validation(self, data):
        if data is None:
            return None
        if not isinstance(data, tuple | list):
            return self._check_data(data)[0]
        x, *rest = data
        if self.condition_shape is not None and len(rest) == 1 and hasattr(x, "shape"):
            x, rest = (x, rest[0]), []  # a flow has no targets: the second part is the condition
        y, weight = (*rest, None, None)[:2]
        x, _ = self._check_data(x)
        weight = check_weights(weight)
        return (x, self._target(x, y, weight), weight)

    def _target(self, x, y, sample_weight):
        """Keras drops sample_weight where y is None, so a flow's rows get a target of zeros."""
        if sample_weight is None or y is not None:
            return y
        x, _ = split_condition(x)
        return np.zeros(len(x), "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Sum of the add_loss terms, each row's times its `sample_weight`."""
        nll, self._batch_loss = self._batch_loss, None
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if sample_weight is not None:
            # add_loss terms never see sample_weight, so the difference is added here.
            sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), nll.dtype)
            difference = batch_mean((sample_weight - 1) * nll)
            loss = loss + self._aggregate_additional_loss(difference)
        if self._is_matching:
            return loss
        self._count_evaluations()
        self._nll_metric.update_state(nll, sample_weight)
        if self._bits_metric is not None:
            self._bits_metric.update_state(nll / (self.dims * math.log(2)), sample_weight)
        return loss

    def _count_evaluations(self):
        counts = [layer.pop_evaluations() for layer in continuous_flows(self.flow_layers)]
        counts = [count for count in counts if count is not None]
        if counts:
            self._evaluations_metric.update_state(sum(counts))

    def get_metrics_result(self):
        """The metrics by name; flow matching knows no likelihood of what it trains on."""
        results = super().get_metrics_result()
        hidden = ("nll", "bits_per_dim", "evaluations") if self._is_matching else ()
        return {name: value for name, value in results.items() if name not in hidden}
