"""Settings that must stand before TensorFlow or JAX is imported."""

import gc
import os
from pathlib import Path

import pytest

# A core for each worker of pytest-xdist.
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # float64 promises on the JAX backend
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile much and compute little: XLA need not optimise, and its emitters of fusions by MLIR
# take half of the time of compilation on a CPU.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false",
)

gc.set_threshold(200_000, 50, 100)  # tracing makes many objects and little garbage


SLOW_TESTS = Path(__file__).parent / "slow_tests"  # a list per backend: CONTRIBUTING.md


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items):
    lines = (SLOW_TESTS / f"{os.environ.get('KERAS_BACKEND', 'tensorflow')}.txt").read_text()
    listed = set(lines.splitlines())
    for item in items:
        if item.nodeid in listed:
            item.add_marker(pytest.mark.slow)


# Keras is imported in fixtures: the process that hands out the tests to workers runs none, and
# would import a backend for seconds before it starts them.
@pytest.fixture(scope="session", autouse=True)
def _graphs_as_traced():
    """Rewriting graphs for speed takes a third of the time of tests, which run each but once."""
    _set_meta_optimizer(False)


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def optimized_graphs():
    """Graphs as TensorFlow rewrites them for users, for tests of what a graph computes."""
    _set_meta_optimizer(True)
    yield
    _set_meta_optimizer(False)


def _set_meta_optimizer(is_on):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not is_on})


@pytest.fixture(scope="session")
def zoo_run(tmp_path_factory):
    """A run that trained for seconds: a conditional RealNVP on digits."""
    from tfflows.runs.recipe import make_recipe
    from tfflows.runs.run import run_recipe

    recipe = {
        "name": "small",
        "data": {"name": "digits", "conditional": True, "dir": "/nowhere"},
        "preprocessing": {"logit": 0.05},
        "model": {"name": "realnvp", "arguments": {"num_couplings": 2, "hidden_units": [8]}},
        "training": {"epochs": 2, "batch_size": 200},
        "backend": {"jit": False},
    }
    folder = tmp_path_factory.mktemp("zoo") / "run"
    run_recipe(make_recipe(recipe), folder, verbose=0)
    return folder


@pytest.fixture(scope="session")
def zoo_model(zoo_run):
    """A model of a zoo, made from `zoo_run`. Tests that change it copy it first."""
    from tfflows import zoo

    published = zoo.Published(value=1.5, units="bits/dim", source="Somebody et al. 2020, table 1")
    folder = zoo_run.parent / "realnvp-digits"
    facts = {"licence": "CC BY 4.0", "limitations": "Two epochs.", "published": published}
    zoo.save_to_zoo(zoo_run, folder, **facts)
    return folder
