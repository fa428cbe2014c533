"""The compiled steps of training, evaluation and prediction, and the batches that they take."""

from tfflows.backend import replicas
from tfflows.backend.settings import settings_version
from tfflows.training.adaptation import AdaptiveDensity
from tfflows.training.inputs import arrange


class Steps(AdaptiveDensity):
    """A density whose steps take (x, condition) as batches; arguments as of Density."""

    _functions_version: int | None = None

    def make_train_function(self, force=False):
        """Keras' own, made anew where a setting of a layer has changed since."""
        self._forget_old_functions()
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        """Keras' own, made anew where a setting of a layer has changed since."""
        self._forget_old_functions()
        return super().make_test_function(force)

    def make_predict_function(self, force=False):
        """Keras' own, made anew where a setting of a layer has changed since."""
        self._forget_old_functions()
        return super().make_predict_function(force)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build the optimizer; a flow is built already.

        Under a strategy, Keras' own takes the mean of a batch over the replicas, which fails where
        a batch has conditions.
        """
        if self.optimizer is not None and not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

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
