"""The SavedModels of the repository are the zoo's models: the same weights, the same densities."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tfflows import zoo

ROOT = Path(__file__).parents[2]
CARDS = [zoo.card(name) for name in zoo.list_models()]
LEFT_OUT = ("tarflow-fashion-mnist",)  # 10 MB
FLOWS = [card.name for card in CARDS if card.kind == "flow" and card.family != "vae"]
NAMES = [name for name in FLOWS if name not in LEFT_OUT]
NAMES.append("phi4-8")  # of the energies
QUICK = ("realnvp-2spirals", "nice-mnist", "made-bsds300", "phi4-8")  # to load and run

DETECTOR = "detector-pendigits"


def exported_arrays(name):
    folder = ROOT / "savedmodels" / name / "1" / "variables"
    checkpoint = tf.train.load_checkpoint(str(folder / "variables"))
    keys = [key for key in checkpoint.get_variable_to_shape_map() if key.endswith("VARIABLE_VALUE")]
    return [checkpoint.get_tensor(key) for key in keys]


def weights_of_the_zoo(name):
    found = []

    def take(_, item):
        if isinstance(item, h5py.Dataset):
            found.append(item[()].astype("float32") if item.dtype == "float16" else item[()])

    with h5py.File(ROOT / "zoo" / name / "model.weights.h5") as file:
        file.visititems(take)
    return found


def by_content(arrays):
    return sorted((a.dtype.name, a.shape, a.tobytes()) for a in map(np.asarray, arrays))


def test_flows_of_arrays_are_exported_and_one_of_an_energy_and_one_detector():
    exported = [path.parent.name for path in ROOT.glob("savedmodels/*/1")]
    assert sorted(exported) == sorted([*NAMES, DETECTOR])


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_has_the_weights_of_the_zoo(name):
    weights = by_content(weights_of_the_zoo(name))
    assert weights
    assert by_content(exported_arrays(name)) == weights


@pytest.mark.parametrize("name", QUICK)
def test_a_saved_model_gives_the_densities_of_the_fixture(name):
    log_prob = tf.saved_model.load(ROOT / "savedmodels" / name / "1").signatures["log_prob"]
    with np.load(ROOT / "zoo" / name / "fixture.npz") as fixture:
        rows = {key: fixture[key][:20] for key in fixture.files}
    wanted = rows.pop("log_prob")
    types = {key: spec.dtype for key, spec in log_prob.structured_input_signature[1].items()}
    (found,) = log_prob(**{key: tf.cast(rows[key], types[key]) for key in rows}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)


def test_the_saved_detector_gives_the_scores_of_the_fixture():
    detect = tf.saved_model.load(ROOT / "savedmodels" / DETECTOR / "1").signatures["detect"]
    with np.load(ROOT / "zoo" / DETECTOR / "fixture.npz") as fixture:
        rows, wanted, labels = fixture["x"], fixture["score"], fixture["label"]
    found = detect(x=tf.cast(rows, tf.float32))
    np.testing.assert_allclose(found["score"], wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(found["is_anomaly"], zoo.load(DETECTOR).predict(rows) == -1)
    assert np.mean(found["is_anomaly"].numpy() == labels) > 0.9
