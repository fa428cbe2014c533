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
            **self._schema_config(),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = upgrade_config(cls, config)
        if "config_version" not in config:
            arguments = _with_keras_configs(arguments)
        return super().from_config(arguments, custom_objects)


def _with_keras_configs(arguments):
    """The objects that a rule of `legacy` wrote as recipes do, written as Keras does.

    Version 0.1 gave layers the model's dtype policy and networks of fields the dtype of the data.
    """
    policy = keras.dtype_policies.get(arguments.get("dtype"))
    of_layers = {"dtype": keras.dtype_policies.serialize(policy)}
    of_networks = {"dtype": data_dtype(policy.variable_dtype)}
    arguments = dict(arguments)
    if "preprocessing" in arguments:
        layers = arguments["preprocessing"]
        arguments["preprocessing"] = [_keras_config(spec, of_layers) for spec in layers]
    for name, options in (("network", of_networks), ("solver", {}), ("test_solver", {})):
        if name in arguments:
            arguments[name] = _keras_config(arguments[name], options)
    return arguments


def _keras_config(spec, options):
    if spec is None or "class_name" in spec:
        return spec  # an argument of a user's own subclass
    name, arguments = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
    return {
        "module": "tfflows",
        "class_name": name,
        "config": {**arguments, **options},
        "registered_name": f"tfflows>{name}",
    }
