"""The README's first example, typed as printed."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops
from marks import needs_tensorflow
from ruamel.yaml import YAML

import tfflows
from tfflows.runs.recipe import Recipe, make_recipe

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

CHECK = """
assert log_p.shape == (5000,) and samples.shape == (1000, 2)
assert abs(x_again - x_val).numpy().max() < 1e-3
"""


@needs_tensorflow
def test_the_first_example_runs_as_printed(tmp_path):
    code = EXAMPLES[0] + CHECK
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "moons.keras").exists()
    assert (tmp_path / "savedmodels/moons/1/saved_model.pb").exists()
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) <= 15


def test_the_conditional_example_runs_as_printed():
    rng = np.random.default_rng(0)
    one_hot = np.eye(3, dtype="float32")[rng.integers(0, 3, 64)]
    x = rng.normal(size=(64, 2)).astype("float32")
    names = {"tfflows": tfflows, "x": x, "x_val": x, "one_hot": one_hot, "one_hot_val": one_hot}
    exec(EXAMPLES[1], names)


def test_the_recipe_is_one():
    text = re.search(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    recipe = make_recipe(YAML(typ="safe", pure=True).load(text))
    assert recipe.optimizer.ema == 0.999
    every = set(Recipe.model_fields) - recipe.model_fields_set
    assert every == {"format"}


def test_the_variational_example_learns_the_ring():
    names = {"tfflows": tfflows}
    keras.utils.set_random_seed(0)
    exec(
        EXAMPLES[2].replace("epochs=10", "epochs=2").replace("num_layers=6", "num_layers=2"), names
    )
    radius = np.linalg.norm(ops.convert_to_numpy(names["x"]), axis=1)
    assert abs(radius.mean() - 3.03) < 0.1
    assert radius.std() < 0.5


def test_the_latents_example_runs_as_printed():
    flow = tfflows.models.RealNVP((2,), num_couplings=1)
    x = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    names = {"flow": flow, "x": x, "x_smiling": x[:10], "x_serious": x[10:]}
    exec(EXAMPLES[4], names)
    np.testing.assert_allclose(names["line"][-1], x[1], atol=1e-5)
    assert names["smiling"].shape == x.shape


def test_the_zoo_example_runs_as_printed(capsys):
    from tfflows import zoo

    exec(EXAMPLES[5], {})
    assert len(capsys.readouterr().out.splitlines()) == len(zoo.list_models("*mnist"))


def test_the_layer_example_is_a_layer():
    names = {"tfflows": tfflows, "keras": keras, "ops": ops}
    exec(EXAMPLES[-1], names)
    layer = names["Scale"]()
    x = np.ones((3, 2), "float32")
    layer(x)
    layer.s.assign([0.5, -0.2])
    z, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(layer.inverse(z), x, atol=1e-6)
    np.testing.assert_allclose(log_det, 0.3, atol=1e-6)


def test_the_flow_matching_example_reports_the_likelihood():
    x = tfflows.datasets.sample_toy("moons", 1000, seed=0)
    names = {"tfflows": tfflows, "x": x, "x_val": x[:100]}
    exec(EXAMPLES[3].replace("epochs=5", "epochs=1").replace("freq=5", "freq=1"), names)
    assert names["flow"].objective == "flow_matching"
    assert np.isfinite(ops.convert_to_numpy(names["flow"].log_prob(x[:100]))).all()
