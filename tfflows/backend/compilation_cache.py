"""What JAX compiles, kept for later processes."""

from pathlib import Path
from typing import Any

import keras

from tfflows.utils.cache import cache_root


def use_compilation_cache(folder: str | Path | None = None) -> Path | None:
    """Let JAX keep what it compiles from now on, so that later processes need not compile it.

    What runs on a GPU is kept with the results of XLA's autotuning. A folder that JAX was given
    before, by JAX_COMPILATION_CACHE_DIR too, stays the one. The folder may be deleted at any time.
    Machines with other processors should have other folders. TensorFlow keeps nothing: the line
    does nothing there.

    Args:
        folder: where; None is `compiled` in TFFLOWS_CACHE, or else in ~/.cache/tfflows.

    Returns:
        The folder, or None on TensorFlow.

    Example:
        tfflows.training.use_compilation_cache()
        flow.fit(x)
    """
    if keras.backend.backend() != "jax":
        return None
    import jax

    config: Any = jax.config  # whose flags pyright does not know
    given = config.jax_compilation_cache_dir
    if given is None or folder is not None:
        given = cache_root() / "compiled" if folder is None else Path(folder)
        jax.config.update("jax_compilation_cache_dir", str(given))
        # `adapt` and small flows compile many programs that take less than a second each.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return Path(given)
