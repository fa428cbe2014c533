"""The compiled steps of training, evaluation and prediction, and the batches that they take."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfflows.backend import compilation, replicas
from tfflows.backend.settings import settings_version
from tfflows.training.adaptation import AdaptiveDensity
from tfflows.training.compiling_line import compiling_line, shows_lines
from tfflows.training.device_data import (
    group_evaluation,
    group_training,
    group_validation,
    rows_of_a_batch,
)
from tfflows.training.grouped_batches import GroupedBatches
from tfflows.training.inputs import arrange
from tfflows.training.many_steps import (
    group_function_on_jax,
    group_function_on_tensorflow,
    takes_groups,
)
from tfflows.training.memory import CALL_CURES, TRAINING_CURES, explained_out_of_memory
from tfflows.training.steps_per_execution import (
    AUTO,
    MIN_STEPS,
    looks_at_batches,
    loops_may_be_slow,
    seconds_within_a_call,
    steps_of_a_call,
)


class Steps(AdaptiveDensity):
    """A density whose steps take (x, condition) as batches; arguments as of Density."""

    _functions_version: int | None = None
    _chooses_steps = False

    def __setattr__(self, name, value):
        if name == "_jax_state":
            # Keras sets it after each call of the step, and would search every array for layers.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _get_jax_state(self, *args, purge_model_variables=False, **kwargs):
        """Keras' own, of arrays that no two variables share, because the compiled step frees them.

        Keras would take the arrays from the variables, which would be empty after an exception in
        the first step. The compiled step frees them anyway.
        """
        optimizer = getattr(self, "optimizer", None)  # not there before compile
        compilation.unshare([*self.variables, *getattr(optimizer, "variables", [])])
        return super()._get_jax_state(*args, **kwargs)

    def compile(self, *args, steps_per_execution: int | str = AUTO, **kwargs) -> None:
        """Keras' own, where `steps_per_execution` may be "auto"."""
        is_number = isinstance(steps_per_execution, int) and steps_per_execution > 0
        if steps_per_execution != AUTO and not is_number:
            raise ValueError(
                'steps_per_execution must be "auto" or a number from 1. '
                f"Received: {steps_per_execution!r}"
            )
        self._chooses_steps = steps_per_execution == AUTO
        self._step_seconds, self._chosen_steps = {}, 1
        steps = 1 if self._chooses_steps else steps_per_execution
        super().compile(*args, steps_per_execution=steps, **kwargs)

    def get_compile_config(self):
        """Keras' own, with "auto" where `fit` chooses `steps_per_execution`."""
        config = super().get_compile_config()
        if config and self._chooses_steps:
            config = {**config, "steps_per_execution": AUTO}
        return config

    def _fit(self, arguments: dict[str, Any], device_data: bool | str):
        """Keras' `fit` with these arguments, whose data are checked."""
        if device_data not in (True, False, AUTO):
            raise ValueError(
                f'device_data must be True, False or "auto". Received: {device_data!r}'
            )
        rows = rows_of_a_batch(arguments)
        with explained_out_of_memory(self, "fit", rows, TRAINING_CURES), self._synced():
            arguments, size = self._group_fit(arguments, device_data)
            with self._steps_of_a_call(size):
                return super().fit(**arguments)

    def _build_optimizer(self):
        """Make the optimizer's state before the first step is traced, which is then traced once.

        Keras begins averages of weights with zeros, and on JAX gives them to the weights where the
        first step fails: they begin with the weights.
        """
        if self.optimizer is None or self.optimizer.built:
            return
        is_tensorflow = keras.backend.backend() == "tensorflow"
        with self.distribute_strategy.scope() if is_tensorflow else contextlib.nullcontext():
            self.optimizer.build(self.trainable_variables)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if getattr(optimizer, "use_ema", False):
            averages = optimizer._model_variables_moving_average
            for average, weight in zip(averages, self.trainable_variables, strict=True):
                average.assign(weight)

    def _group_fit(self, arguments, device_data):
        """The arguments of `fit` with data in groups, and the steps of a call."""
        if not takes_groups(self):
            if device_data is True:
                raise ValueError(
                    "device_data=True expects compiled steps on one device. "
                    "Received: run_eagerly=True, or a distribution over several"
                )
            return arguments, self.steps_per_execution
        self._build_optimizer()
        chooses = self._chooses_steps and not looks_at_batches(arguments.get("callbacks"))
        size = None if chooses else self.steps_per_execution
        arguments = group_training(arguments, size, device_data)
        data = arguments["x"]
        if size is None and isinstance(data, GroupedBatches):
            epochs = arguments.get("epochs", 1) - arguments.get("initial_epoch", 0)
            size = data.size = self._chosen_steps = self._choose_steps(
                data, epochs, arguments.get("verbose", 1)
            )
        size = size or 1
        return group_validation(arguments, size, device_data), size

    def _choose_steps(self, data, epochs, verbose):
        """Steps per call for these batches, by the time of one, which is measured once."""
        steps = data.batches_per_epoch
        if data.capacity == 1 or steps is None:
            return 1
        group = data.example()
        shapes = str(keras.tree.map_structure(np.shape, group))
        if shapes not in self._step_seconds:
            if epochs * steps < MIN_STEPS:
                data.capacity = 1 if loops_may_be_slow(self) else data.capacity
                return 1
            self.make_train_function()
            with compiling_line(shows_lines(verbose)):
                self._step_seconds[shapes] = seconds_within_a_call(self, group)
            self.compiled_step = self.train_function  # a loop of some steps takes as long again
        seconds = self._step_seconds[shapes]
        if seconds is None:
            data.capacity = 1
            return 1
        return steps_of_a_call(seconds, steps)

    def _evaluate(self, arguments: dict[str, Any]):
        """Keras' `evaluate` with these arguments, whose data are checked."""
        size = self._chosen_steps if self._chooses_steps else self.steps_per_execution
        rows = rows_of_a_batch(arguments)
        with explained_out_of_memory(self, "evaluate", rows, CALL_CURES), self._synced():
            if takes_groups(self):
                arguments = group_evaluation(arguments, size)
            with self._steps_of_a_call(size):
                return super().evaluate(**arguments)

    @contextlib.contextmanager
    def _steps_of_a_call(self, size) -> Iterator[None]:
        """Let Keras count `size` steps per call; functions of groups take any number."""
        before, self.steps_per_execution = self.steps_per_execution, size
        try:
            yield
        finally:
            self.steps_per_execution = before

    @contextlib.contextmanager
    def _synced(self) -> Iterator[None]:
        """Give the variables their arrays back on JAX also where an exception ends the calls."""
        try:
            yield
        finally:
            if keras.backend.backend() == "jax":
                self.jax_state_sync()
                self._jax_state = None

    def make_train_function(self, force=False):
        """Keras' own, or a loop of many steps; made anew where a layer's setting has changed."""
        self._forget_old_functions()
        self._build_optimizer()
        if not takes_groups(self):
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = self._group_function(self.train_step)

    def make_test_function(self, force=False):
        """Keras' own, or a loop of many steps; made anew where a layer's setting has changed."""
        self._forget_old_functions()
        if not takes_groups(self):
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = self._group_function(self.test_step)

    def _group_function(self, step):
        if keras.backend.backend() == "jax":
            return group_function_on_jax(step)

        @functools.cache
        def keras_function(steps_per_execution):  # which Keras writes into what it compiles
            return self._make_function(step)

        return group_function_on_tensorflow(
            step,
            # What Keras' steps return, where no subclass has its own.
            self.get_metrics_result if _is_of(Steps, step) else None,
            lambda iterator: keras_function(self.steps_per_execution)(iterator),
            self.jit_compile,
        )

    def make_predict_function(self, force=False):
        """Keras' own, made anew where a setting of a layer has changed since."""
        self._forget_old_functions()
        return super().make_predict_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build the optimizer; a flow is built already.

        Under a strategy, Keras' own takes the mean of a batch over the replicas, which fails where
        a batch has conditions.
        """
        self._build_optimizer()

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Keras' own, as logs that it can average over the replicas of a strategy."""
        return replicas.reducible_logs(super().compute_metrics(x, y, y_pred, sample_weight))

    def _forget_old_functions(self):
        version = settings_version()
        if version != self._functions_version:
            self.train_function = self.test_function = self.predict_function = None
            self._functions_version = version

    def train_step(self, *args):
        """Keras' own, on a batch whose second part is its condition."""
        return super().train_step(*args[:-1], self._arrange(args[-1]))

    def test_step(self, *args):
        """Keras' own, on a batch whose second part is its condition."""
        return super().test_step(*args[:-1], self._arrange(args[-1]))

    def predict_step(self, *args):
        """Keras' own, on a batch whose second part is its condition."""
        return super().predict_step(*args[:-1], self._arrange(args[-1]))

    def _arrange(self, batch):
        return arrange(batch, self.condition_shape is not None)


def _is_of(cls, method):
    return getattr(method, "__func__", None) is getattr(cls, getattr(method, "__name__", ""), None)
