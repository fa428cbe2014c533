"""A model's config from the arguments that it was made with.

Keras does this for layers whose arguments are numbers and strings (`Operation.__new__`); here they
may be layers, networks, solvers and lists of them as well.
"""

import inspect

import keras
import numpy as np

_OF_KERAS = ("name", "trainable", "dtype")  # a layer's own get_config gives them


class GivenArguments:
    """The arguments of a call of `cls.__init__`, defaults included.

    Keras walks the dicts and lists among a layer's attributes and saves the layers in them; it does
    not look into this object.

    Args:
        cls: class of the object that is made.
        args, kwargs: what it is made with.

    Raises:
        TypeError: the signature does not take them.
    """

    def __init__(self, cls: type, args: tuple, kwargs: dict):
        signature = inspect.signature(cls.__init__)
        bound = signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        names = list(signature.parameters)
        given = dict(bound.arguments)
        given.pop(names[0])
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                given |= given.pop(name)
        self._values = {k: _plain(v) for k, v in given.items() if k not in _OF_KERAS}

    def serialize(self) -> dict:
        """The arguments as JSON can hold them, Keras objects by their configs."""
        return {name: _serialized(value) for name, value in self._values.items()}


def deserialize_arguments(config: dict) -> dict:
    """The init arguments in `config`, with nested Keras objects made from their configs."""
    return {name: keras.saving.deserialize_keras_object(value) for name, value in config.items()}


def _plain(value):
    """Sequences and NumPy values as lists and numbers, so that later changes are not seen."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _serialized(value):
    if isinstance(value, list):
        return [_serialized(each) for each in value]
    return keras.saving.serialize_keras_object(value)
