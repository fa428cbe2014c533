"""Random numbers whose seeds are tensors, the same on every backend where rows seed themselves.

`keras.random` takes integers and generators only. Serving needs seeds that arrive with a request,
and noise that depends on one row alone.
"""

import random as python_random

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation
from tfflows.backend.tensor_ops import Tensor

Seed = int | keras.random.SeedGenerator | Tensor | None


def make_seed(seed: Seed) -> Tensor:
    """An int32 `[2]` seed from an integer, a SeedGenerator, such a seed, or None for a fresh one.

    In a function that TensorFlow traces, a fresh seed and a generator's are drawn in each call.

    Raises:
        ValueError: the seed is of another kind, or None in a function that JAX traces.
    """
    if seed is None:
        return _fresh_seed()
    if isinstance(seed, keras.random.SeedGenerator):
        state = seed.next()  # pyright: ignore
        if compilation.is_traced(state):
            return ops.cast(state, "int32")
        return ops.convert_to_numpy(state).astype("uint32").view("int32")  # pyright: ignore
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        low, high = int(seed) & 0xFFFFFFFF, (int(seed) >> 32) & 0xFFFFFFFF
        return np.asarray([low, high], "uint32").view("int32")
    if tuple(getattr(seed, "shape", ())) == (2,) and "int" in str(getattr(seed, "dtype", "")):
        is_traced = compilation.is_traced(seed)
        return ops.cast(seed, "int32") if is_traced else np.asarray(seed).astype("int32")
    raise ValueError(
        "seed must be None, an integer, an int32 array of shape (2,) or a SeedGenerator. "
        f"Received: {seed!r}"
    )


def seed_of_key(key: Tensor) -> Tensor:
    """An int32 `[2]` seed from one of TensorFlow Probability's, which on JAX is a key of JAX."""
    if keras.backend.backend() == "jax":
        import jax

        if jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.key_data(key)
    return ops.cast(key, "int32")


def key_of_seed(seed: Tensor) -> Tensor:
    """An int32 `[2]` seed as TensorFlow Probability takes it: on JAX a key of JAX."""
    return _jax_key(seed) if keras.backend.backend() == "jax" else seed


def _fresh_seed():
    if not compilation.is_tracing():
        return np.asarray([python_random.getrandbits(31) for _ in range(2)], "int32")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.random.uniform([2], maxval=2**31 - 1, dtype="int32")
    raise ValueError(
        "A function that JAX traces runs its Python once, and would draw the same samples in each "
        "call: pass `seed=` from its arguments, an int32 array of shape (2,). Received: None"
    )


def replica_seed(generator: keras.random.SeedGenerator) -> Tensor:
    """The next seed `[2]` of a layer's generator, different on every replica of a strategy."""
    seed = ops.cast(generator.next(), "int32")
    if keras.backend.backend() != "tensorflow":
        return seed
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    replica = 0 if context is None else context.replica_id_in_sync_group
    return seed + tf.stack([0, tf.cast(replica, "int32") * 2**24])


def rows_of_replica(draw, generator: keras.random.SeedGenerator, shape, dtype) -> Tensor:
    """Numbers for the rows of this replica: its part of those that one device would draw for all.

    So the noise of a row does not depend on how many replicas share its batch, where all have as
    many rows. JAX draws for all rows of a batch at once.

    Args:
        draw: `normal` or `uniform`.
        generator: of a layer.
        shape: `(rows of this replica, *event)`.
        dtype: of the numbers.
    """
    seed = ops.cast(generator.next(), "int32")
    if keras.backend.backend() != "tensorflow":
        return draw(shape, seed, dtype)
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return draw(shape, seed, dtype)
    rows, *event = shape
    numbers = draw((rows * context.num_replicas_in_sync, *event), seed, dtype)
    start = context.replica_id_in_sync_group * rows
    return numbers[start : start + rows]


def normal(shape, seed, dtype):
    """Standard normal numbers of `shape` from an int32 `[2]` seed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Philox: keras.random.normal is 25 times slower under XLA on CPU.
        return tf.random.stateless_normal(shape, seed, dtype=dtype, alg="philox")
    import jax

    return jax.random.normal(_jax_key(seed), shape, dtype=dtype)


def uniform(shape, seed, dtype):
    """Numbers in [0, 1) of `shape` from an int32 `[2]` seed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.random.stateless_uniform(shape, seed, dtype=dtype, alg="philox")
    import jax

    return jax.random.uniform(_jax_key(seed), shape, dtype=dtype)


def _jax_key(seed):
    import jax

    return jax.random.wrap_key_data(ops.cast(seed, "uint32"), impl="threefry2x32")


# Words of 32 bits are int32, whose products and sums wrap around, and no operation is taken that
# OpenVINO, ONNX Runtime or LiteRT lacks or does otherwise, as they do several of those on uint32.


def threefry2x32(key, counter):
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers").

    Args:
        key: pair of int32 tensors.
        counter: pair of int32 tensors that broadcast with them.

    Returns:
        A pair of int32 tensors of random bits.
    """
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    keys = (key[0], key[1], ops.bitwise_xor(ops.bitwise_xor(key[0], key[1]), _int32(0x1BD11BDA)))
    x0, x1 = counter[0] + keys[0], counter[1] + keys[1]
    for group in range(5):
        for rotation in rotations[group % 2]:
            x0 = x0 + x1
            x1 = ops.bitwise_xor(_rotate_left(x1, rotation), x0)
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + _int32(group + 1)
    return x0, x1


def _int32(value):
    return ops.convert_to_tensor(np.int32(value))


def _rotate_left(x, bits):
    """The high bits come back low; `x >> 31` takes out the sign that the shift fills up with."""
    sign = ops.bitwise_right_shift(x, _int32(31))
    return (x - sign) * _int32(2**bits) + ops.bitwise_right_shift(x, _int32(32 - bits))


def row_uniform(seeds, event_shape, dtype, stream=0):
    """Numbers in (0, 1), `[n, *event_shape]`, where row i depends on `seeds[i]` alone.

    Args:
        seeds: integers `[n, 2]`.
        event_shape: shape of one row's numbers.
        dtype: "float32" or "float64".
        stream: which of a seed's independent streams to take, an integer or a tensor of one.
    """
    size = int(np.prod(event_shape, dtype="int64"))
    seeds = ops.cast(seeds, "int32")
    counter = ops.convert_to_tensor(np.arange((size + 1) // 2, dtype="int32"))[None, :]
    words = threefry2x32((seeds[:, :1], seeds[:, 1:]), (counter, ops.cast(stream, "int32")))
    bits = ops.concatenate(words, axis=1)[:, :size]
    if dtype == "float64":
        numbers = (ops.cast(bits, "float64") + 0.5) * 2.0**-32
    else:
        # 23 bits and a half keep the largest number below 1 in float32.
        bits = ops.bitwise_right_shift(bits, _int32(9))
        numbers = (ops.cast(bits, "float32") + 0.5) * 2.0**-23
    numbers = ops.where(numbers < 0, numbers + 1, numbers)  # from a signed to an unsigned word
    return ops.reshape(numbers, (-1, *event_shape))


def row_seeds(rows):
    """A seed `[n, 2]` from the content of each row of non-negative integers `[n, ...]`.

    Multilinear hashing: a sum of odd random multiples of the entries, modulo 2**32.
    """
    flat = ops.cast(ops.reshape(rows, (-1, int(np.prod(rows.shape[1:], dtype="int64")))), "int32")
    size = flat.shape[1]
    factors = np.random.default_rng(0).integers(0, 2**32, (2, size), dtype="uint32") | np.uint32(1)
    terms = flat[:, None, :] * ops.convert_to_tensor(factors.view("int32"))
    terms = ops.pad(terms, ((0, 0), (0, 0), (0, 2 ** (size - 1).bit_length() - size)))
    while terms.shape[2] > 1:  # elsewhere a sum over an axis does not wrap around
        half = terms.shape[2] // 2
        terms = terms[:, :, :half] + terms[:, :, half:]
    return terms[:, :, 0]


class BatchNoise:
    """Noise for `num_samples` rows from one seed."""

    def __init__(self, num_samples, seed, dtype: str):
        self.num_samples = num_samples
        self.dtype = dtype
        self._seed = seed

    def next_seed(self):
        """An int32 seed `[2]` that this noise has not used."""
        seed = ops.cast(self._seed, "int32")
        golden_ratio = np.asarray([0x9E3779B9, 0], "uint32").view("int32")
        self._seed = seed + ops.convert_to_tensor(golden_ratio)
        return seed

    def normal(self, event_shape):
        """Standard normal numbers `[num_samples, *event_shape]`."""
        return normal((self.num_samples, *event_shape), self.next_seed(), self.dtype)

    def uniform(self, event_shape):
        """Numbers in (0, 1), `[num_samples, *event_shape]`."""
        numbers = uniform((self.num_samples, *event_shape), self.next_seed(), self.dtype)
        return ops.clip(numbers, 2.0**-24, 1 - 2.0**-24)


class RowNoise:
    """Noise for one row a seed: each row depends on its own seed `[n, 2]` alone."""

    def __init__(self, seeds, dtype: str):
        self.num_samples = ops.shape(seeds)[0]
        self.dtype = dtype
        self._seeds = seeds
        self._stream = 0

    def normal(self, event_shape):
        """Standard normal numbers `[n, *event_shape]`."""
        return 2.0**0.5 * ops.erfinv(2 * self.uniform(event_shape) - 1)

    def next_seeds(self):
        """A seed `[n, 2]` per row, each of its own seed, that this noise has not used."""
        bits = ops.floor(self.uniform((2,)) * 2.0**23)  # of float32, exact
        return ops.cast(bits, "int32")

    def uniform(self, event_shape):
        """Numbers in (0, 1), `[n, *event_shape]`."""
        self._stream += 1
        return row_uniform(self._seeds, event_shape, self.dtype, self._stream - 1)
