"""Compiled calls of a model's methods: the backend's own way of tracing, a case a backend."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence

import keras
from keras.src.backend.common.stateless_scope import in_stateless_scope  # Keras does not export it

from tfflows.backend.settings import settings_version

_scopes = threading.local()

# Numbers of rows that an export compiles its regions for; above, multiples of the last. Small
# batches take about as long as one of 256 rows, and compiling takes seconds to a minute.
ROW_SIZES = (1, 16, 256, 1024, 4096)


def xla_scope(is_xla: bool) -> contextlib.AbstractContextManager[None]:
    """Say that what is traced within is, or is not, compiled by XLA."""
    return _scope("is_xla", is_xla)


def few_row_sizes() -> contextlib.AbstractContextManager[None]:
    """Say that regions traced within are for any number of rows, and compile for `ROW_SIZES`.

    Live calls repeat a few batch sizes, which are compiled as they are; a server gets any.
    """
    return _scope("few_row_sizes", True)


def is_exporting() -> bool:
    """Whether what is being traced is for a SavedModel, which may be served on another device."""
    return getattr(_scopes, "few_row_sizes", False)


@contextlib.contextmanager
def _scope(name, value) -> Iterator[None]:
    before = getattr(_scopes, name, False)
    setattr(_scopes, name, value)
    try:
        yield
    finally:
        setattr(_scopes, name, before)


def is_under_xla() -> bool:
    """Whether XLA compiles what is being traced: on JAX always, on TensorFlow by `xla_scope`."""
    return keras.backend.backend() == "jax" or getattr(_scopes, "is_xla", False)


def is_traced(*tensors) -> bool:
    """Whether a call with these tensors stands inside a function that is being traced."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.inside_function()
    from jax.core import Tracer

    return any(isinstance(tensor, Tracer) for tensor in tensors)


def is_tracing() -> bool:
    """Whether the caller stands inside a function that is being traced, whatever its tensors."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.inside_function()
    import jax
    from jax.core import Tracer

    return isinstance(jax.numpy.zeros(()) + 0, Tracer)  # as all that is made within a trace


def is_on_cpu() -> bool:
    """Whether what is compiled runs on CPUs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("TPU")
    import jax

    return jax.default_backend() == "cpu"


def compile_method(
    model: keras.Model, method: Callable, jit: bool, takes_count: bool = False
) -> Callable:
    """`method(*tensors)` as one compiled function that always sees the model's current weights.

    Args:
        model: the model whose variables the method reads; it may assign to none.
        method: pure function of tensors (or None) in the model's weights.
        jit: whether TensorFlow compiles by XLA, once a batch size; JAX always does.
        takes_count: whether the first argument is an integer, a number of rows to make.
    """
    if keras.backend.backend() == "tensorflow":
        return _direct_calls(method, jit, takes_count)
    import jax

    weights = model.weights  # gathered once: that takes as long as the call itself

    @functools.partial(jax.jit, static_argnums=1 if takes_count else ())
    def stateless(values, *args):
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return method(*args)

    return lambda *args: stateless([weight.value for weight in weights], *args)


def _direct_calls(method, jit, takes_count):
    """`method` under `tf.function`, by calls that skip its own search for the right trace: that
    takes half of a small flow's time, and longer where an argument is None.
    """
    import tensorflow as tf

    functions, traces = {}, {}
    num_static = int(jit and takes_count)  # XLA wants the count known, a graph takes it as a tensor

    def call(*args):
        leading, args = args[:num_static], args[num_static:]
        is_none = tuple(arg is None for arg in args)
        tensors = [tf.convert_to_tensor(arg) for arg in args if arg is not None]
        key = (leading, is_none, *((tensor.shape, tensor.dtype) for tensor in tensors))
        if key not in traces:
            if key[:2] not in functions:
                functions[key[:2]] = _function_of_tensors(method, jit, leading, is_none)
            traces[key] = functions[key[:2]].get_concrete_function(*tensors)
        return traces[key](*tensors)

    return call


def _function_of_tensors(method, jit, leading, is_none):
    """A `tf.function` of tensors alone: `method(*leading, ...)`, with None where `is_none`."""
    import tensorflow as tf

    @tf.function(jit_compile=jit, autograph=False, reduce_retracing=not jit)
    def function(*tensors):
        remaining = iter(tensors)
        with xla_scope(jit):
            return method(*leading, *(None if none else next(remaining) for none in is_none))

    return function


def compile_function(function: Callable) -> Callable:
    """`function` of lists of tensors and of tensors as one compiled function; by XLA on JAX only.

    Args:
        function: pure, and reads no variable.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, autograph=False)

        def call(*args):
            args = tf.nest.map_structure(tf.convert_to_tensor, args)
            return compiled.get_concrete_function(*args)(*args)

        return call
    import jax

    return jax.jit(function)


def unshare(variables: Sequence[keras.Variable]) -> None:
    """Copy arrays that several variables hold, which JAX's next compiled step would free for all.

    `assign` shares arrays on JAX: `optimizer.finalize_variable_values` gives weights those of their
    averages.
    """
    if keras.backend.backend() != "jax":
        return
    import jax

    seen = set()
    for variable in variables:
        if id(variable.value) in seen:
            variable.assign(jax.numpy.array(variable.value, copy=True))
        seen.add(id(variable.value))


def compile_region(function: Callable, differentiable: Callable) -> Callable:
    """`function` of tensors as a part that TensorFlow compiles by XLA wherever it stands.

    Loops of many small steps take several times longer in a plain graph. XLA compiles once a batch
    size, in a SavedModel too. What loops keep for gradients cannot leave an XLA function, and takes
    minutes to compile where loops stand in loops: gradients are those of `differentiable`, which
    computes the same. Under a distribution strategy, where XLA fails, that is all there is. The
    first axis of all tensors and results is that of the rows; within `few_row_sizes` rows are
    repeated up to the next size.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    def functions(version):
        compiled = tf.function(function, jit_compile=True, autograph=False)
        return compiled, tf.function(differentiable, autograph=False)

    kept = functools.lru_cache(maxsize=1)(functions)

    def call(*tensors):
        # In a StatelessScope functions hold tensors of its graph, not variables.
        make = functions if in_stateless_scope() else kept
        compiled, graph = make(settings_version())
        if tf.distribute.has_strategy():
            return graph(*tensors)
        first = compiled
        if is_exporting() and tensors[0].shape[0] is None:
            first = functools.partial(_call_in_few_sizes, compiled)
        versions = iter([first])  # for the first call; the gradient makes the second
        return tf.recompute_grad(lambda *args: next(versions, graph)(*args))(*tensors)

    return call


def _call_in_few_sizes(function, *tensors):
    """`function` of tensors whose last row is repeated up to the next size, without those rows."""
    import tensorflow as tf

    rows, largest = tf.shape(tensors[0])[0], ROW_SIZES[-1]
    sizes = tf.constant([0, *ROW_SIZES])
    small = tf.reduce_min(tf.where(sizes >= rows, sizes, largest))
    size = tf.where(rows > largest, (rows + largest - 1) // largest * largest, small)
    places = tf.minimum(tf.range(size), rows - 1)
    results = function(*(tf.gather(tensor, places) for tensor in tensors))
    return tf.nest.map_structure(lambda result: result[:rows], results)


def static_loop(count: int, body: Callable, carry: tuple) -> tuple:
    """`carry = body(i, carry)` for i = 0..count-1, in a form that every mode differentiates.

    `keras.ops.fori_loop` has no gradient under XLA on TensorFlow, `while_loop` none on JAX. A loop
    of one turn is none, and spares its compilation.
    """
    if count == 1:
        return body(0, carry)
    if keras.backend.backend() == "jax":
        return keras.ops.fori_loop(0, count, body, carry)
    return keras.ops.while_loop(
        lambda i, *_: i < count,
        lambda i, *carry: (i + 1, *body(i, carry)),
        (0, *carry),
        maximum_iterations=count,
    )[1:]


def check_dtype(dtype: str) -> None:
    """Raise ValueError for float64 where JAX would silently compute in float32."""
    if dtype != "float64" or keras.backend.backend() != "jax":
        return
    import jax

    if not jax.config.read("jax_enable_x64"):
        raise ValueError(
            "float64 on the JAX backend wants the environment variable JAX_ENABLE_X64=1. "
            "Received: a flow of dtype float64 without it"
        )
