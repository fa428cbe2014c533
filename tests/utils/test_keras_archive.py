""".keras files that are not what they seem: refused before anything is unpacked or made."""

import json
import tempfile
import zipfile

import keras
import numpy as np
import pytest
from keras import ops
from layer_table import randomize
from marks import once
from model_table import small_flow

import tfflows
from tfflows import layers
from tfflows.flow import Flow
from tfflows.utils.bounded_json import MAX_BYTES, parse_json
from tfflows.utils.keras_archive import read_archive

pytestmark = once


@pytest.fixture
def saved(tmp_path):
    """A flow with its file, and its members."""
    flow = randomize(small_flow(num_couplings=1))
    flow.save(tmp_path / "flow.keras")
    with zipfile.ZipFile(tmp_path / "flow.keras") as archive:
        return flow, tmp_path / "flow.keras", {n: archive.read(n) for n in archive.namelist()}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder, which nothing may be left in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_whole_file_loads_stored_or_packed(saved, temporary):
    flow, path, members = saved
    x = np.random.default_rng(0).normal(size=(5, 2))
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write(path, members, compression)
        np.testing.assert_array_equal(tfflows.load_model(path).log_prob(x), flow.log_prob(x))
    assert list(temporary.iterdir()) == []


def test_optimizers_come_back_where_they_are_asked_for(saved, temporary):
    flow, path, _ = saved
    flow.compile("adam")
    flow.optimizer.build(flow.trainable_variables)
    for variable in flow.optimizer.variables[2:]:
        variable.assign(variable + 0.5)
    flow.save(path)
    again = read_archive(path, Flow, compile=True)
    pairs = zip(again.optimizer.variables, flow.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
    assert not tfflows.load_model(path).compiled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update({"assets/b": b" "}), r"Received: 'assets/b'"),
        (lambda m: m.update({"../x": b" "}), r"Received: '\.\./x'"),
        (lambda m: m.update({"metadata.json": b" " * (MAX_BYTES + 1)}), "metadata.json of at most"),
        (lambda m: m.update({"config.json": b" " * (MAX_BYTES + 1)}), "config.json of at most"),
        (lambda m: m.update({"model.weights.h5": bytes(2**27)}), "model.weights.h5 of at most"),
        (lambda m: m.update({"config.json": b'{"a":' * 9999 + b"1" + b"}" * 9999}), "100 levels"),
        (lambda m: m.update({"config.json": b'{"a":' * 500 + b"1" + b"}" * 500}), "100 levels"),
        (lambda m: m.update({"config.json": b"\xff"}), "is not JSON"),
        (lambda m: m.update({"config.json": b"[]"}), "holds a list, which is not a flow"),
        (lambda m: m.update({"model.weights.h5": b"none"}), "is not a readable file of weights"),
        (lambda m: m.pop("model.weights.h5"), "is not a readable model: .*model.weights.h5"),
        (lambda m: m.pop("config.json"), "is not a readable model: .*config.json"),
    ],
)
def test_members_are_known_and_of_sizes_that_can_be(saved, temporary, change, message):
    _, path, members = saved
    change(members)
    write(path, members)
    with pytest.raises(ValueError, match=message) as error:
        tfflows.load_model(path)
    assert str(path) in str(error.value)
    assert list(temporary.iterdir()) == []


def test_a_member_that_comes_twice_is_refused(saved):
    _, path, members = saved
    write(path, members)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", members["config.json"])
    with pytest.raises(ValueError, match=r"'config\.json' twice"):
        tfflows.load_model(path)


def test_a_flipped_byte_anywhere_is_an_error_or_nothing(saved, temporary):
    flow, path, _ = saved
    whole = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(whole), 40):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        try:
            loaded = tfflows.load_model(path)
        except ValueError:
            continue
        for weight, same in zip(loaded.get_weights(), flow.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, same)
    assert list(temporary.iterdir()) == []


def test_functions_of_keras_are_no_layers(tmp_path):
    """A Lambda of an exported function, with arguments from the file, is a program."""
    victim = tmp_path / "figure.png"
    victim.write_text("the user's")
    conditioner = keras.layers.Lambda(ops.tanh, output_shape=(4, 4, 1))
    flow = Flow([layers.AffineCoupling("channel", conditioner=conditioner)], (4, 4, 2))
    flow.save(tmp_path / "flow.keras")
    path, members = tmp_path / "flow.keras", {}
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    inner = config["config"]["layers"][0]["config"]["conditioner"]["config"]
    name = "plot_image_gallery"
    inner["function"] |= {
        "module": "keras.visualization", "class_name": "function", "config": name,
        "registered_name": name,
    }  # fmt: skip
    inner["arguments"] = {"path": str(victim), "value_range": [0, 1], "rows": 1, "cols": 1}
    write(path, {**members, "config.json": json.dumps(config)})
    with pytest.raises(ValueError, match=r"conditioner: .*class keras\.layers\.Lambda"):
        tfflows.load_model(path)
    assert victim.read_text() == "the user's"


def test_users_own_code_loads_when_it_is_theirs(tmp_path):
    class Unregistered(layers.Permute):
        """As a script has it that is no module."""

    flow = tfflows.Flow([Unregistered(seed=1)], (3,))
    path = tmp_path / "flow.keras"
    flow.save(path)
    with pytest.raises(ValueError, match="custom_objects="):
        tfflows.load_model(path)
    loaded = tfflows.load_model(path, custom_objects={"Unregistered": Unregistered})
    assert type(loaded.flow_layers[0]) is Unregistered
    code = keras.layers.Lambda(lambda x: ops.tanh(x), output_shape=(1,))
    tfflows.Flow([layers.AffineCoupling(conditioner=code)], (2,)).save(path)
    with pytest.raises(ValueError, match="Lambda"):
        tfflows.load_model(path)
    assert isinstance(tfflows.load_model(path, unsafe=True), Flow)


def test_weights_that_are_not_finite_are_refused_wherever_a_model_goes(saved):
    flow, path, _ = saved
    weight = flow.trainable_weights[0]
    value = ops.convert_to_numpy(weight).copy()
    value.flat[0] = np.nan
    weight.assign(value)
    flow.save(path)
    flow.save_weights(path.with_name("flow.weights.h5"))
    with pytest.raises(ValueError, match=rf"NaN or inf in .*{weight.name}"):
        tfflows.load_model(path)
    with pytest.raises(ValueError, match=r"flow\.weights\.h5: Expected finite weights"):
        small_flow(num_couplings=1).load_weights(path.with_name("flow.weights.h5"))
    with pytest.raises(ValueError, match="Expected finite weights"):
        flow.export(path.with_name("served"))


def test_json_is_what_json_says():
    assert parse_json(b'{"a": [1, {"b": null}]}', "x") == {"a": [1, {"b": None}]}
    assert parse_json(b"3", "x") == 3
    with pytest.raises(ValueError, match="x: Expected a text of at most"):
        parse_json(b" " * (MAX_BYTES + 1), "x")


def test_errors_name_the_archive_and_its_member(saved):
    _, path, members = saved
    write(path, {**members, "model.weights.h5": members["model.weights.h5"][:5000]})
    with pytest.raises(ValueError, match=r"flow\.keras: model\.weights\.h5 is not a readable file"):
        tfflows.load_model(path)
    small_flow(num_couplings=2).save(path.with_name("other.keras"))
    with zipfile.ZipFile(path.with_name("other.keras")) as archive:
        other = archive.read("model.weights.h5")
    write(path, {**members, "model.weights.h5": other})
    with pytest.raises(ValueError, match=r"flow\.keras: model\.weights\.h5 holds .*left over"):
        tfflows.load_model(path)
    with pytest.raises(FileNotFoundError):
        small_flow(num_couplings=1).load_weights(path.with_name("none.weights.h5"))
