"""Animations: the states between base and data, what is written, and what is refused."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from layer_table import randomize
from PIL import Image

import tfflows
from tfflows import layers, models, networks
from tfflows.cli.main import main
from tfflows.evaluation import animate
from tfflows.evaluation.animation import states


def test_states_go_from_the_latents_to_the_data():
    stack = [layers.Standardize(), layers.ContinuousFlow(), layers.Reverse()]
    flow = randomize(tfflows.Flow(stack, (2,)))
    z = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    found = states(flow, z, 7)
    assert len(found) == 7
    np.testing.assert_array_equal(found[0], z)
    np.testing.assert_allclose(found[-1], flow.inverse(z), atol=1e-3)
    assert (np.abs(np.diff(found, axis=0)).max(axis=(1, 2)) > 0).all()


def test_a_path_ends_where_the_inverse_does():
    layer = layers.ContinuousFlow()
    layer.build((None, 2))
    randomize(layer)
    z = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    path = layer.inverse_path(z, 4)
    assert len(path) == 4
    np.testing.assert_allclose(path[-1], layer.inverse(z), atol=1e-4)


def test_a_command_writes_a_strip_or_an_animation(tmp_path):
    randomize(models.FFJORD((2,), network=networks.DynamicsMLP((4,)))).save(tmp_path / "flow.keras")
    models.RealNVP((3,), 2).save(tmp_path / "three.keras")

    def run(*arguments):
        return CliRunner().invoke(
            main, ["animate", "--num", "500", "--model", *map(str, arguments)]
        )

    result = run(tmp_path / "flow.keras", "--out", tmp_path / "strip.png", "--frames", 3)
    assert result.output == f"Wrote 3 frames to {tmp_path / 'strip.png'}\n"
    assert Image.open(tmp_path / "strip.png").size == (3 * 150 + 2 * 4, 150)
    run(tmp_path / "flow.keras", "--out", tmp_path / "moving.gif", "--frames", 4)
    assert Image.open(tmp_path / "moving.gif").n_frames == 4  # and the last for long
    result = run(tmp_path / "flow.keras", "--out", tmp_path / "moving.mp4")
    assert "An animation is a .png or .gif file" in result.output
    result = run(tmp_path / "three.keras", "--out", tmp_path / "strip.png")
    assert "events of 2 elements" in result.output
    with pytest.raises(ValueError, match=r"at least 2. Received: 1"):
        animate(keras.saving.load_model(tmp_path / "flow.keras"), "strip.png", num_frames=1)
