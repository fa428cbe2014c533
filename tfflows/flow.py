"""Flow: a stack of flow layers and a base distribution as a `keras.Model`."""

import functools
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from tfflows.backend import compilation, rng
from tfflows.backend.settings import settings_version
from tfflows.backend.tensor_ops import Tensor
from tfflows.distributions import Distribution
from tfflows.layers import Dequantize, FlowLayer
from tfflows.layers.continuous_flow import continuous_flows
from tfflows.layers.equal_steps import scanned_layers
from tfflows.training.batch import Batch
from tfflows.training.chunks import in_chunks
from tfflows.training.inputs import as_arrays
from tfflows.training.memory import CALL_CURES, explained_out_of_memory
from tfflows.training.trainer import Trainer
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.checks import check_draw, check_shape
from tfflows.utils.config import deserialize_arguments
from tfflows.utils.data_schema import DataSchema
from tfflows.utils.finite_weights import check_finite_weights
from tfflows.utils.remote import exists
from tfflows.utils.stored_weights import check_stored_weights, naming_file
from tfflows.utils.summary import flow_summary


@keras.saving.register_keras_serializable(package="tfflows")
class Flow(Trainer):
    """A normalizing flow: log p(x) = log p_base(z) + log |det dz/dx|, z = layers(x).

    `compile(optimizer)` takes no loss: the flow adds its own, the mean negative log-likelihood, by
    add_loss. The logs of fit and evaluate carry `loss` (nll and regularizers), `nll` in nats,
    `bits_per_dim` where the data are images, all in the units of the data as given, and
    `evaluations` of the field per solve where a layer is a ContinuousFlow.

    Example:
        flow = tfflows.Flow([ActNorm(), AffineCoupling(), Reverse()], event_shape=(5,))
        flow.compile("adam")
        flow.fit(x, epochs=10)
        log_p = flow.log_prob(x)

    Args:
        layers: flow layers from data to latent, or one.
        event_shape: shape of one example, without its batch axis.
        base: distribution of the latents; standard normal by default.
        condition_shape: shape of one condition, or None.

    Attributes:
        data_schema: names of the columns and classes of the data, a `tfflows.datasets.DataSchema`,
            which is saved with the flow. The first `fit` on a table of pandas or polars sets the
            names; later tables are matched by them.
    """

    def __init__(
        self,
        layers: Sequence[FlowLayer] | FlowLayer,
        event_shape: Sequence[int],
        base: Distribution | None = None,
        condition_shape: Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(layers, event_shape, base, condition_shape, **kwargs)
        self._compiled_methods = types.SimpleNamespace()  # a dict would be saved with the model

    def log_prob(
        self,
        x: Tensor,
        condition: Tensor | None = None,
        num_draws: int = 1,
        *,
        batch_size: int | None = None,
    ) -> Tensor:
        """log p(x | condition) in nats, `[batch]`, in the units of x `[batch, *event_shape]`.

        Discrete data take dequantization noise from the row itself, so that the same x gives the
        same answer. Its mean bounds the discrete log-likelihood from below; the log of the mean
        density of several draws does so more tightly (Burda et al. 2016, equation 8,
        https://arxiv.org/abs/1509.00519).

        Args:
            x: data.
            condition: conditions, or one row for all, where the flow is conditional.
            num_draws: draws of dequantization noise per row; more than 1 expects discrete data.
            batch_size: rows at a time, for many rows in little memory; None takes all at once.
        """
        x, condition = self._check_call(x, condition)
        if num_draws == 1:
            return self._run_in_chunks(self.log_density, batch_size, x, condition)
        dequantizes = isinstance(self.first_layer, Dequantize) and not self.is_noisy
        if num_draws < 1 or not dequantizes:
            raise ValueError(
                "num_draws must be 1, or more for a flow that begins with Dequantize. "
                f"Received: {num_draws!r}"
            )

        def draw(number, *tensors):
            number = ops.convert_to_tensor(number)
            return self._run(self.log_density_of_draw, tensors[0], number, *tensors[1:])

        draws = [
            in_chunks(functools.partial(draw, number), batch_size, x, condition)
            for number in range(num_draws)
        ]
        return ops.logsumexp(ops.stack(draws), axis=0) - math.log(num_draws)

    def inverse(
        self, z: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """Map latents `[batch, *latent_shape]` to data `[batch, *event_shape]`.

        Args:
            z: latents.
            condition, batch_size: as in `log_prob`.
        """
        z = ops.convert_to_tensor(as_arrays(z))
        check_shape(z, self.latent_shape)
        condition = self.check_condition(condition, z.shape[0])
        return self._run_in_chunks(self.generate, batch_size, z, condition)

    def encode(
        self, x: Tensor, condition: Tensor | None = None, *, batch_size: int | None = None
    ) -> Tensor:
        """Map data to latents, like calling the flow, compiled and without losses.

        Args:
            x, condition, batch_size: as in `log_prob`.
        """
        arguments = self._check_call(x, condition)
        return self._run_in_chunks(self.latents, batch_size, *arguments)

    def sample(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw data `[num_samples, *event_shape]`, in the units of the training data.

        Args:
            num_samples: number of samples.
            condition: `[num_samples, *condition_shape]`, or one row `[1, *condition_shape]` for
                all, where the flow is conditional.
            seed: None (fresh), an integer, an int32 array `[2]` or a `keras.random.SeedGenerator`.
                In a function that JAX traces it must not be None.
            temperature: factor on the spread of the base, >= 0; below 1 samples are more typical.
            batch_size: samples at a time, for many in little memory. The latents are drawn at once,
                so that a seed gives the same samples, to rounding, whatever the batch size.
        """
        arguments = self._check_draw(num_samples, condition, seed, temperature)
        if batch_size is not None:
            return self._draw_in_chunks(self.generate, batch_size, arguments, seed is None)
        return self._run(self._sample, *arguments, jit=seed is None)

    def sample_and_log_prob(
        self,
        num_samples: int,
        condition: Tensor | None = None,
        seed: rng.Seed = None,
        temperature: float = 1.0,
        *,
        batch_size: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw data as `sample` does, with their log p(x | condition) `[num_samples]`.

        The density is the flow's own, whatever the temperature. For discrete data it is the density
        at the point before rounding, a draw of what `log_prob` of the sample estimates.
        """
        arguments = self._check_draw(num_samples, condition, seed, temperature)
        if batch_size is not None:
            method = self.generate_and_log_density
            return self._draw_in_chunks(method, batch_size, arguments, seed is None)
        return self._run(self._sample_and_log_prob, *arguments, jit=seed is None)

    def _draw_in_chunks(self, method, batch_size, arguments, jit):
        """`method` of latents that are drawn at once."""
        z = self._run(self.draw_latents, *arguments, jit=jit)
        return self._run_in_chunks(method, batch_size, z, arguments[-1])

    def _sample(self, num_samples, seed, temperature, condition=None):
        z = self.draw_latents(num_samples, seed, temperature, condition)
        return self._compiled_method(self.generate)(z, condition)

    def _sample_and_log_prob(self, num_samples, seed, temperature, condition=None):
        z = self.draw_latents(num_samples, seed, temperature, condition)
        return self._compiled_method(self.generate_and_log_density)(z, condition)

    def _check_draw(self, num_samples, condition, seed, temperature):
        """The arguments of `_sample`: the number as an integer, the others as arrays."""
        check_draw(num_samples, temperature)
        num_samples = int(num_samples)
        condition = self.check_condition(condition, num_samples)
        temperature = np.asarray(temperature, self.compute_dtype)
        return num_samples, rng.make_seed(seed), temperature, condition

    def _check_call(self, x, condition):
        batch = Batch.parse(x, condition)
        x = batch.x
        if not compilation.is_traced(x):
            x = as_arrays(self.data_schema.in_order(x))
            check_shape(x, self.event_shape)
            if self.checks_data and x.shape[0]:
                self._check_batch(Batch(x, batch.condition))
        x = ops.convert_to_tensor(x)
        check_shape(x, self.event_shape)
        return x, self.check_condition(batch.condition, x.shape[0])

    def _run_in_chunks(self, method, batch_size, *tensors):
        return in_chunks(functools.partial(self._run, method), batch_size, *tensors)

    def _run(self, method, *args, jit=True):
        """`method(*args)`, compiled unless it stands in a function that is being traced."""
        if compilation.is_traced(*args):
            return method(*args)
        rows = getattr(args[0], "shape", [None])[0]
        explained = explained_out_of_memory(self, method.__name__, rows, CALL_CURES)
        with scanned_layers(self.scan_layers), explained:
            results = self._compiled_method(method, jit)(*args)
        if any(layer.can_fail for layer in continuous_flows(self.flow_layers)):
            first = results[0] if isinstance(results, tuple) else results
            if np.isnan(ops.convert_to_numpy(first)).any():
                return method(*args)  # outside of compiled functions a layer says what is wrong
        return results

    def _compiled_method(self, method, jit=True):
        """`method` compiled, by XLA where the user asked compile() for it and `jit` allows it.

        XLA compiles for each batch size, and has other random numbers than TensorFlow for a seed,
        so that it draws only where no seed is given.
        """
        jit = bool(jit and self.compiled and self.jit_compile)
        name = f"{method.__name__}_{jit}_{self.scan_layers}"
        version = settings_version()
        if getattr(self._compiled_methods, "version", version) != version:
            self._compiled_methods = types.SimpleNamespace()
        self._compiled_methods.version = version
        if not hasattr(self._compiled_methods, name):
            draws = method in (self._sample, self._sample_and_log_prob, self.draw_latents)
            compiled = compilation.compile_method(self, method, jit, takes_count=draws)
            setattr(self._compiled_methods, name, compiled)
        return getattr(self._compiled_methods, name)

    def summary(
        self,
        line_length: int | None = None,
        positions: None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = True,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print the layers in order from data to latent, with shapes and parameter counts.

        Args:
            line_length: width of the table in characters; 88 by default.
            positions: must be None, because the table sizes its own columns.
            print_fn: takes the text instead of standard output.
            expand_nested: whether to show the layers inside multi-scale layers.
            show_trainable: whether to show which layers have weights that train.
            layer_range: names of the first and the last layer to show.
        """
        if positions is not None:
            raise ValueError(
                f"The table sizes its own columns: positions must be None. Received: {positions!r}"
            )
        text = flow_summary(self, line_length or 88, expand_nested, show_trainable, layer_range)
        (print_fn or sys.stdout.write)(text)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",  # Keras' own name
        verbose: bool | None = None,
        input_signature: None = None,
        *,
        warmup: bool = False,
        signature: str = "log_prob",
    ) -> Path | str:
        """Write a SavedModel with the serving signatures, or one signature as an ONNX file.

        Args:
            filepath: a version folder such as "models/moons/1", which must not exist yet, or a
                model folder such as "models/moons", which gets the next version. For ONNX a file.
            format: "tf_saved_model" or "onnx".
            verbose: whether to print where the model was written.
            input_signature: must be None, because every signature has its own inputs.
            warmup: whether to add requests that TensorFlow Serving runs when it loads the model.
            signature: which one an ONNX file has: "log_prob", "encode", "decode" or
                "sample_seeds".

        Returns:
            The version folder, or the ONNX file; of a remote path (gs://, ...) a string.

        Raises:
            FileExistsError: the version is there already.
            ImportError: what the format requires is not installed.
            ValueError: there is no such format or signature, or ONNX lacks one of its operations.
            OSError: the files cannot be written; nothing is left of the attempt.
        """
        # Here and not above: export needs TensorFlow, which training on JAX does without.
        from tfflows.serving.export import export_flow

        if input_signature is not None:
            raise ValueError(
                "A flow is exported with one signature for each of its uses: input_signature must "
                f"be None. Received: {input_signature!r}"
            )
        path = export_flow(self, filepath, format, warmup=warmup, signature=signature)
        if verbose:
            sys.stdout.write(f"Saved artifact at '{path}'.\n")
        return path

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs) -> None:
        """`keras.Model.save` that replaces `filepath` only once the new file is whole."""
        if Path(filepath).suffix not in (".keras", ".h5"):
            raise ValueError(f"A model is saved as a .keras file. Received: {filepath}")
        if not overwrite and exists(filepath):
            return super().save(filepath, overwrite=False, **kwargs)
        with replaced_on_success(filepath) as temporary:
            super().save(temporary, **kwargs)

    def save_weights(self, filepath: str | Path, overwrite: bool = True, **kwargs) -> None:
        """`keras.Model.save_weights` that replaces `filepath` only once the new file is whole."""
        if kwargs or (not overwrite and exists(filepath)):
            return super().save_weights(filepath, overwrite=overwrite, **kwargs)
        with replaced_on_success(filepath) as temporary:
            super().save_weights(temporary)

    def load_weights(self, filepath: str | Path, skip_mismatch: bool = False, **kwargs) -> None:
        """`keras.Model.load_weights` of a file that has these weights and no others.

        Raises:
            ValueError: the file has weights of another flow, or they are not finite. With
                `skip_mismatch=True` Keras loads what fits.
        """
        if not (skip_mismatch or kwargs):
            check_stored_weights(self, filepath)
        with naming_file(filepath):
            super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        check_finite_weights(self.weights, str(filepath))

    def get_config(self):
        layers = [keras.saving.serialize_keras_object(layer) for layer in self.flow_layers]
        return {
            **super().get_config(),
            "layers": layers,
            "event_shape": self.event_shape,
            "base": keras.saving.serialize_keras_object(self.base),
            "condition_shape": self.condition_shape,
            **self._schema_config(),
        }

    def _schema_config(self):
        return {"data_schema": self.data_schema.get_config()} if self.data_schema else {}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        schema = DataSchema.from_config(config.pop("data_schema", {}))
        flow = cls(**deserialize_arguments(config))
        flow.data_schema = schema
        return flow
