"""IAF: inverse autoregressive flow (Kingma et al. 2016)."""

import keras

from tfflows.layers import InverseAutoregressive
from tfflows.models.maf import MAF


@keras.saving.register_keras_serializable(package="tfflows")
class IAF(MAF):
    """MAF's layers run the other way: a sample takes one pass of each network.

    That is the direction `fit_to_density` trains in. `fit` on data goes through the many small
    steps of `InverseAutoregressive`, and takes several times longer than MAF's.

    Example:
        flow = tfflows.models.IAF(event_shape=(2,), num_layers=8)
        flow.compile("adam", jit_compile=True)
        flow.fit_to_density(log_density, epochs=10)

    Arguments are those of `MAF`.
    """

    _layer = InverseAutoregressive
