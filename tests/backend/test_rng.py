"""Random numbers: known answers, independence of rows, distribution."""

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from marks import needs_tensorflow

import tfflows
from tfflows import layers
from tfflows.backend import rng


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize(
    ("key", "counter", "wanted"),
    [  # the known answers of Random123's kat_vectors for threefry2x32 with 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers(key, counter, wanted):
    def words(pair):
        return tuple(ops.convert_to_tensor(np.asarray([v], "uint32").view("int32")) for v in pair)

    got = rng.threefry2x32(words(key), words(counter))
    assert tuple(int(numpy(word).view("uint32")[0]) for word in got) == wanted


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_uniform_is_uniform_open_and_depends_on_its_own_seed(dtype):
    seeds = np.stack([np.arange(300), np.full(300, 5)], axis=1)
    numbers = numpy(rng.row_uniform(seeds, (7, 3), dtype))
    assert numbers.shape == (300, 7, 3)
    assert numbers.dtype == dtype
    assert 0 < numbers.min() < numbers.max() < 1
    assert scipy.stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(rng.row_uniform(seeds[40:41], (7, 3), dtype)[0], numbers[40])
    correlation = np.corrcoef(numbers.reshape(300, -1), rowvar=False) - np.eye(21)
    assert np.abs(correlation).max() < 0.25
    other = numpy(rng.row_uniform(seeds, (7, 3), dtype, stream=1))
    assert abs(np.corrcoef(numbers.ravel(), other.ravel())[0, 1]) < 0.05


def test_row_seeds_tell_rows_apart():
    generator = np.random.default_rng(0)
    rows = generator.integers(0, 256, (500, 28, 28))
    twin = rows.copy()
    twin[:, 3, 4] = (twin[:, 3, 4] + 1) % 256
    seeds = numpy(rng.row_seeds(ops.convert_to_tensor(np.concatenate([rows, twin]))))
    assert len(np.unique(seeds, axis=0)) == 1000


def test_make_seed_takes_what_keras_takes():
    np.testing.assert_array_equal(rng.make_seed(3), [3, 0])
    assert rng.make_seed(2**40 + 1).tolist() == [1, 256]
    assert rng.make_seed(-1).shape == (2,)
    assert (rng.make_seed(None) != rng.make_seed(None)).any()
    generator = keras.random.SeedGenerator(1)
    assert (rng.make_seed(generator) != rng.make_seed(generator)).any()
    for wrong in ("0", 1.5, True, np.zeros(2)):
        with pytest.raises(ValueError, match="Received"):
            rng.make_seed(wrong)


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_batch_noise_streams_differ(draw):
    noise = rng.BatchNoise(1000, rng.make_seed(0), "float32")
    first, second = (numpy(getattr(noise, draw)((2,))) for _ in range(2))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    wanted = "norm" if draw == "normal" else "uniform"
    assert scipy.stats.kstest(first.ravel(), wanted).pvalue > 1e-3


@needs_tensorflow
@pytest.mark.parametrize("jit", [False, True])
def test_samples_without_a_seed_are_fresh_in_each_call_of_a_traced_function(jit):
    import tensorflow as tf

    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    draw = tf.function(lambda: (flow.sample(4), flow.sample_and_log_prob(4)[0]), jit_compile=jit)
    drawn = [part.numpy() for _ in range(2) for part in draw()]
    assert len(np.unique(np.stack(drawn)[:, 0, 0])) == 4


@needs_tensorflow
def test_samples_in_a_dataset_are_fresh_for_each_element():
    import tensorflow as tf

    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    rows = [row.numpy() for row in tf.data.Dataset.range(3).map(lambda _: flow.sample(2))]
    assert len(np.unique(np.stack(rows))) == 12


@needs_tensorflow
def test_a_generator_in_a_traced_function_gives_what_it_gives_outside():
    import tensorflow as tf

    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    inside, outside = keras.random.SeedGenerator(3), keras.random.SeedGenerator(3)
    draw = tf.function(lambda: flow.sample(4, seed=inside))
    for _ in range(2):
        np.testing.assert_allclose(draw(), flow.sample(4, seed=outside), atol=1e-6)


def test_a_seed_of_two_numbers_is_that_of_the_integer():
    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    seed = np.asarray([5, 0], "int32")
    np.testing.assert_array_equal(flow.sample(4, seed=seed), flow.sample(4, seed=5))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="about jax.jit")
def test_a_function_that_jax_traces_must_give_the_seed():
    import jax

    flow = tfflows.Flow([layers.DiagonalScaling()], (2,))
    with pytest.raises(ValueError, match=r"draw the same samples in each call: pass `seed=`"):
        jax.jit(lambda: flow.sample(4))()
    drawn = jax.jit(lambda seed: flow.sample(4, seed=seed))(np.asarray([5, 0], "int32"))
    np.testing.assert_allclose(drawn, flow.sample(4, seed=5), atol=1e-6)
