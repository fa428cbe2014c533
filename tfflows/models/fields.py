"""The continuous flows of a model, which share their settings and not their networks."""

from collections.abc import Callable

import keras

from tfflows.layers import ContinuousFlow


def field_maker(network: keras.layers.Layer | None, dtype, **settings) -> Callable:
    """A function that makes one ContinuousFlow after the other.

    The first has the network itself, all others a fresh network of the same config. None leaves it
    to each layer to make one.

    Args:
        network: dynamics; see `ContinuousFlow`.
        dtype: dtype policy of the layers.
        **settings: other arguments of `ContinuousFlow`.
    """
    networks = [network]

    def make():
        own = networks.pop() if networks else _fresh(network)
        return ContinuousFlow(own, **settings, dtype=dtype)

    return make


def _fresh(network):
    if network is None:
        return None
    config = network.get_config()
    config.pop("name", None)
    return type(network).from_config(config)
