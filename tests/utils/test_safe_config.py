"""Which classes and functions a config may name: checked before Keras makes anything of it."""

import json

import keras
import pytest
from keras import ops
from marks import once
from model_table import small_flow

import tfflows
from tfflows import layers
from tfflows.utils.safe_config import check_config

pytestmark = once


def config_of(thing):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))


def with_conditioner(conditioner):
    return tfflows.Flow([layers.AffineCoupling(conditioner=conditioner)], (2,))


def of_function(module, name, registered=None):
    config = config_of(keras.layers.Lambda(ops.tanh))
    config["config"]["function"] = {
        "module": module, "class_name": "function", "config": name,
        "registered_name": registered or name,
    }  # fmt: skip
    return config


@keras.saving.register_keras_serializable(package="tests")
class Own(layers.Permute):
    """Of the user's own."""


@keras.saving.register_keras_serializable(package="tests")
def own_activation(x):
    return ops.tanh(x)


class NotRegistered(layers.Permute):
    """As Own, but Keras does not know it."""


def test_what_flows_are_made_of_is_taken():
    inputs = keras.Input((1,))
    functional = keras.Model(inputs, ops.sin(keras.layers.Dense(4, "gelu")(inputs)) + 1.0)
    regularized = keras.layers.Dense(
        4, own_activation, kernel_initializer=keras.initializers.HeNormal(seed=1),
        kernel_regularizer="l2", kernel_constraint="max_norm",
    )  # fmt: skip
    parts = [
        small_flow(),
        with_conditioner(keras.Sequential([regularized, keras.layers.LayerNormalization()])),
        with_conditioner(functional),
        tfflows.Flow([Own(seed=1)], (2,)),
        keras.layers.Activation(ops.softplus),
    ]
    for part in parts:
        check_config(config_of(part), "config.json")
    flow = small_flow()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    flow.compile(keras.optimizers.AdamW(rate))
    check_config({**config_of(flow), "compile_config": flow.get_compile_config()}, "config.json")
    check_config(config_of(NotRegistered()), "", {"NotRegistered": NotRegistered})


LAMBDA = config_of(keras.layers.Lambda(ops.tanh))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (of_function("keras.datasets.mnist", "load_data"), "class keras.layers.Lambda"),
        (LAMBDA["config"]["function"] | {"module": "keras.datasets.mnist"}, None),
        ({**LAMBDA, "module": None}, "class Lambda"),
        # A name that is registered does not stand for what Keras takes by another.
        (
            {key: value for key, value in LAMBDA.items() if key != "module"}
            | {"registered_name": "tfflows>Reverse"},
            "class Lambda",
        ),
        (of_function("keras.utils", "get_file", "tfflows>Reverse")["config"]["function"], None),
        ({"class_name": "TFSMLayer", "module": "keras.layers", "config": {}}, "TFSMLayer"),
        ({"class_name": "TextVectorization", "module": "keras.layers", "config": {}}, None),
        ({"class_name": "Dense", "module": "keras.src.models.functional", "config": {}}, "Dense"),
        ({"class_name": "Functional", "module": "keras.layers", "config": {}}, "Functional"),
        ({"class_name": "__lambda__", "config": {"value": "x"}}, "class __lambda__"),
        ({"class_name": "__typespec__", "module": "builtins", "config": []}, "__typespec__"),
        ({"class_name": ["Dense"], "config": {}}, "not a text"),
        ({"class_name": "system", "module": "os", "config": {}}, "class os.system"),
        ({"class_name": "function", "module": "os", "config": "system"}, "function os.system"),
        ({"class_name": "function", "module": "keras.ops", "config": "map"}, "keras.ops.map"),
        ({"class_name": "function", "module": "builtins", "config": "eval"}, "builtins.eval"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_its_name_and_place(config, name):
    if config.get("config") == "tanh":
        config = {**config, "config": "load_data"}
    flow = config_of(with_conditioner(keras.layers.Dense(4)))
    flow["config"]["layers"][0]["config"]["conditioner"] = config
    with pytest.raises(ValueError, match=r"config\.config\.layers\[0\]\.config\.conditioner") as e:
        check_config(flow, "config.json")
    assert (name or config["config"] or config["class_name"]) in str(e.value)
    assert "unsafe=True" in str(e.value)


def test_a_registered_class_of_a_script_is_taken():
    config = config_of(tfflows.Flow([Own(seed=1)], (2,)))
    layer = config["config"]["layers"][0]
    layer["module"] = None  # as Keras writes it for classes of __main__
    check_config(config, "config.json")
    layer["registered_name"] = "tests>NotThere"
    with pytest.raises(ValueError, match="class Own"):
        check_config(config, "config.json")


def test_a_class_that_is_not_registered_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"NotRegistered\. .*register_keras_serializable"):
        check_config(config_of(tfflows.Flow([NotRegistered()], (2,))), "config.json")
