"""What Keras leaves undone where TensorFlow trains one model on several devices, its replicas.

JAX needs none of it: its compiled step is that of one device on the whole batch.
"""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfflows.datasets.batches import Batches

if TYPE_CHECKING:
    import tensorflow as tf


def count_replicas(model: keras.Model) -> int:
    """Number of replicas that train the model; 1 on JAX."""
    if keras.backend.backend() != "tensorflow":
        return 1
    return model.distribute_strategy.num_replicas_in_sync


def hand_out_batches(arguments: dict[str, Any], model: keras.Model) -> None:
    """Replace sharded `Batches` among the arguments of `fit` by what each replica takes of them.

    Keras would shard them again, and let every worker read all rows.
    """
    if count_replicas(model) == 1:
        return
    for name in ("x", "validation_data"):
        data = arguments.get(name)
        if isinstance(data, Batches) and data.shard.devices > 1:
            arguments[name] = _pieces(data, model.distribute_strategy)
            if name == "validation_data":
                arguments["validation_steps"] = data.num_batches


def _pieces(batches, strategy) -> "tf.distribute.DistributedDataset":
    """A dataset without end: the batches of this process, cut into one piece for each replica."""
    import tensorflow as tf

    replicas = batches.shard.devices // batches.shard.processes
    passes = itertools.count() if batches.num_batches is None else range(batches.num_batches)

    def pieces():
        for index in passes:
            parts = [np.split(array, replicas) for array in keras.tree.flatten(batches[index])]
            for piece in zip(*parts, strict=True):
                yield keras.tree.pack_sequence_as(batches[0], piece)

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batches[0]
    )
    dataset = tf.data.Dataset.from_generator(pieces, output_signature=signature).repeat()
    # A dataset that may end costs a sum over all workers in each step.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    options = tf.data.Options()
    options.autotune.enabled = False  # whose end `fit` would wait for
    dataset = dataset.prefetch(2 * replicas).with_options(options)
    return strategy.distribute_datasets_from_function(lambda context: dataset)


def reducible_logs(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs of a step that Keras can average over the replicas: it expects no scalars of workers."""
    if keras.backend.backend() != "tensorflow":
        return logs
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return logs
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}


def clip_sum_of_replicas(model: keras.Model) -> None:
    """Make the optimizer of a model clip the gradient of the whole batch.

    Keras clips the gradients of each replica, and then adds them up. Here they are added up and
    clipped before Keras gets them, each replica an equal part, which its own clipping leaves alone.
    """
    optimizer = model.optimizer
    clip = _clipping(optimizer) if count_replicas(model) > 1 else None
    if clip is None:
        return
    import tensorflow as tf

    apply = optimizer.apply

    def apply_clipped_sum(grads, trainable_variables=None):
        context = tf.distribute.get_replica_context()
        grads = list(grads)
        places = [place for place, grad in enumerate(grads) if grad is not None]
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [grads[place] for place in places])
        for place, grad in zip(places, clip(sums), strict=True):
            grads[place] = grad / context.num_replicas_in_sync
        return apply(grads, trainable_variables)

    optimizer.apply = apply_clipped_sum


def _clipping(optimizer) -> Callable | None:
    import tensorflow as tf

    if optimizer.clipnorm:
        return lambda grads: [tf.clip_by_norm(grad, optimizer.clipnorm) for grad in grads]
    if optimizer.global_clipnorm:
        return lambda grads: tf.clip_by_global_norm(grads, optimizer.global_clipnorm)[0]
    if optimizer.clipvalue:
        value = optimizer.clipvalue
        return lambda grads: [tf.clip_by_value(grad, -value, value) for grad in grads]
    return None
