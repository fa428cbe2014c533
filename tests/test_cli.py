"""The command line, as a user types it: what it writes, says and returns."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import needs_tensorflow
from test_flow import small_flow, small_image_flow

from tfflows.cli import main

pytestmark = needs_tensorflow


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run(
        "train", "--data", "digits", "--model", "realnvp", "--set", "num_couplings=2",
        "--set", "hidden_units=(16,)", "--set", "logit=0.05", "--set", "standardize=false",
        "--epochs", 2, "--no-jit", "--out", folder,
    )  # fmt: skip
    return folder / "flow.keras"


def test_train_writes_the_model_that_the_settings_ask_for(trained):
    flow = keras.saving.load_model(trained)
    assert flow.event_shape == (8, 8, 1)
    config = flow.get_config()
    assert config["standardize"] is False
    assert (config["num_couplings"], config["hidden_units"], config["levels"]) == (2, [16], 17)


def test_evaluate_prints_the_held_out_numbers_and_the_baseline(trained):
    output = run("evaluate", "--model", trained, "--data", "digits", "--baseline")
    assert "digits test: log-likelihood" in output
    assert "180 rows" in output
    assert "Gaussian baseline: log-likelihood" in output


def test_sample_writes_pictures_and_rows(trained, tmp_path):
    for name in ("grid.png", "rows.csv", "rows.npy"):
        assert "Wrote 9 samples" in run(
            "sample", "--model", trained, "--num", 9, "--out", tmp_path / name
        )
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
    rows = np.load(tmp_path / "rows.npy")
    assert rows.shape == (9, 8, 8, 1)
    csv = np.loadtxt(tmp_path / "rows.csv", delimiter=",")
    np.testing.assert_allclose(csv, rows.reshape(9, -1))


def test_export_and_info(trained, tmp_path):
    assert str(tmp_path / "digits" / "1") in run(
        "export", "--model", trained, "--out", tmp_path / "digits"
    )
    assert (tmp_path / "digits" / "1" / "saved_model.pb").exists()
    output = run("info", "--model", trained, "--data", "digits")
    assert "RealNVP on (8, 8, 1)" in output
    assert "scikit-learn" in output
    assert "moons" in run("info")


def test_conditional_models_are_trained_and_sampled_by_label(tmp_path):
    run(
        "train", "--data", "digits", "--model", "nice", "--set", "hidden_units=(8,)",
        "--conditional", "--epochs", 1, "--no-jit", "--out", tmp_path,
    )  # fmt: skip
    model = tmp_path / "flow.keras"
    run("sample", "--model", model, "--label", 3, "--out", tmp_path / "three.png")
    run("evaluate", "--model", model, "--data", "digits")
    assert "class from 0 to 9" in run(
        "sample", "--model", model, "--label", 10, "--out", tmp_path / "ten.png", code=2
    )


TRAIN = ("train", "--epochs", 1, "--no-jit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian",), "did you mean train"),
        (("train", "--data", "moons"), "Missing option '--model'"),
        ((*TRAIN, "--data", "moon", "--model", "realnvp"), "did you mean moons"),
        ((*TRAIN, "--data", "moons", "--model", "realnpv"), "did you mean realnvp"),
        (
            (*TRAIN, "--data", "moons", "--model", "realnvp", "--set", "coupling=2"),
            "no argument 'coupling'; did you mean num_couplings",
        ),
        ((*TRAIN, "--data", "moons", "--model", "realnvp", "--set", "x"), "KEY=VALUE"),
        (
            (*TRAIN, "--data", "moons", "--model", "realnvp", "--set", "num_couplings=0"),
            "num_couplings must be a positive integer. Received: 0",
        ),
        ((*TRAIN, "--data", "moons", "--model", "multiscale-realnvp"), "height, width"),
        ((*TRAIN, "--data", "moons", "--model", "realnvp", "--conditional"), "no labels"),
        (("evaluate", "--model", "nowhere.keras", "--data", "moons"), "no model at nowhere.keras"),
        (
            (*TRAIN, "--data", "moons", "--model", "realnvp", "--set", "hidden_units=16"),
            "list of positive widths. Received: 16",
        ),
        (("info", "--data", "mnsit"), "did you mean mnist"),
        (("info", "--data", "mnist:9.9.9"), "no dataset 'mnist:9.9.9'"),
        (("info", "--data", ""), "no dataset ''"),
    ],
)
def test_usage_errors_exit_2_and_say_what_was_wanted(arguments, message, tmp_path):
    if arguments[0] == "train" and len(arguments) > 3:
        arguments = (*arguments, "--out", tmp_path)
    assert message in " ".join(run(*arguments, code=2).split())
    assert list(tmp_path.iterdir()) == []


def test_samples_that_do_not_fit_the_file_are_refused(tmp_path):
    table = tmp_path / "table.keras"
    from tfflows.models import RealNVP

    RealNVP((3,), 1, (4,)).save(table)
    assert "as .csv" in run("sample", "--model", table, "--out", tmp_path / "x.png", code=2)
    assert ".png, .csv or .npy" in run("sample", "--model", table, "--out", "x.txt", code=2)
    run("sample", "--model", table, "--label", 1, "--out", tmp_path / "x.csv", code=2)
    run("evaluate", "--model", table, "--data", "moons", code=2)


def test_failures_exit_1(tmp_path):
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"not a model")
    assert "no readable model" in run("info", "--model", broken, code=1)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    assert "which is no flow" in run("info", "--model", other, code=1)
    model = tmp_path / "flow.keras"
    small_flow(num_couplings=1).save(model)
    (tmp_path / "1").mkdir()
    assert "never replaced" in run("export", "--model", model, "--out", tmp_path / "1", code=1)
    run("sample", "--model", model, "--out", model / "x.csv", code=1)


def test_train_does_not_replace_a_model_unasked(tmp_path):
    path = tmp_path / "flow.keras"
    small_image_flow().save(path)
    before = path.read_bytes()
    arguments = (*TRAIN, "--data", "digits", "--model", "nice", "--out", tmp_path)
    assert "--overwrite" in run(*arguments, code=2)
    assert path.read_bytes() == before
