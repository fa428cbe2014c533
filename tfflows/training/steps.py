"""The compiled steps of training, evaluation and prediction, and the batches that they take."""

import contextlib
from typing import Any

import keras

from tfflows.backend import compilation
from tfflows.backend.settings import settings_version
from tfflows.training.adaptation import AdaptiveDensity
from tfflows.training.device_data import group_evaluate, group_fit
from tfflows.training.inputs import arrange
from tfflows.training.many_steps import make_group_function, takes_groups


class Steps(AdaptiveDensity):
    """A density whose steps take (x, condition) as batches; arguments as of Density."""

    _functions_version: int | None = None

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
        compilation.unshare([*self.variables, *getattr(self.optimizer, "variables", [])])
        return super()._get_jax_state(*args, **kwargs)

    def _fit(self, arguments: dict[str, Any], device_data: bool | str):
        """Keras' `fit` with these arguments, whose data are checked."""
        if takes_groups(self):
            arguments = group_fit(arguments, self.steps_per_execution, device_data)
        return super().fit(**arguments)

    def _evaluate(self, arguments: dict[str, Any]):
        """Keras' `evaluate` with these arguments, whose data are checked."""
        if takes_groups(self):
            arguments = group_evaluate(arguments, self.steps_per_execution)
        with self._synced():
            return super().evaluate(**arguments)

    @contextlib.contextmanager
    def _synced(self):
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
        if not takes_groups(self):
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = make_group_function(self.train_step)

    def make_test_function(self, force=False):
        """Keras' own, or a loop of many steps; made anew where a layer's setting has changed."""
        self._forget_old_functions()
        if not takes_groups(self):
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = make_group_function(self.test_step)

    def make_predict_function(self, force=False):
        """Keras' own, made anew where a setting of a layer has changed since."""
        self._forget_old_functions()
        return super().make_predict_function(force)

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
