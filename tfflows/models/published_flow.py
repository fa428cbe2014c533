"""What published models share: a config that follows from their signature."""

import keras

from tfflows.backend.tensor_ops import data_dtype
from tfflows.flow import Flow
from tfflows.utils.config import GivenArguments
from tfflows.utils.legacy import CONFIG_VERSION, refuse_replaced, upgrade_config


class PublishedFlow(Flow):
    """A flow whose layers follow from the arguments of its class.

    A subclass writes `__init__` only. Its config is the arguments that `__init__` was called with,
    defaults included, and Keras' `name`, `trainable` and `dtype`. Configs of earlier versions are
    read by the rules of `tfflows.utils.legacy`; a changed default needs a rule there.
    """

    def __new__(cls, *args, **kwargs):
        refuse_replaced(cls, kwargs)
        flow = super().__new__(cls, *args, **kwargs)
        try:
            given = GivenArguments(cls, args, kwargs)
        except TypeError:
            return flow  # __init__ says better what is wrong
        object.__setattr__(flow, "_given_arguments", given)  # Keras' own is not ready yet
        return flow

    def get_config(self):
        return {
            **self._given_arguments.serialize(),
            **keras.Model.get_config(self),
            "config_version": CONFIG_VERSION,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = upgrade_config(cls, config)
        dtype = keras.dtype_policies.get(arguments.get("dtype"))
        arguments = {name: _as_keras_config(name, arguments[name], dtype) for name in arguments}
        return super().from_config(arguments, custom_objects)


def _as_keras_config(name, value, policy):
    """An object that a rule of `legacy` wrote as recipes do, as Keras writes it; others as is."""
    if name == "preprocessing":
        return [_as_keras_config("", part, policy) for part in value]
    if name not in ("", "network", "solver", "test_solver") or value is None:
        return value
    if isinstance(value, dict) and "class_name" in value:
        return value
    class_name, arguments = (value, {}) if isinstance(value, str) else next(iter(value.items()))
    config = dict(arguments)
    if name == "":
        config["dtype"] = keras.dtype_policies.serialize(policy)
    elif name == "network":
        config["dtype"] = data_dtype(policy.variable_dtype)
    return {
        "module": "tfflows",
        "class_name": class_name,
        "config": config,
        "registered_name": f"tfflows>{class_name}",
    }
