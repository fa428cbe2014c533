"""The contract of elementwise transforms, which couplings and autoregressive layers share."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfflows.backend.settings import Settings
from tfflows.backend.tensor_ops import Tensor


class Transform(Settings):
    """A monotone map of each element x by parameters of its own.

    A subclass writes `forward` and `inverse`, and says in `num_parameters` how many parameters an
    element has. Where they are all zero the map is the identity, or near it: networks begin there.
    """

    num_parameters: int

    def forward(self, x: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """x -> z, log dz/dx, both of x's shape.

        Args:
            x: of any shape.
            parameters: `num_parameters` tensors of x's shape, any real numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `forward`.")

    def inverse(self, z: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """z -> x, log dx/dz, the inverse of `forward`."""
        raise NotImplementedError(f"{type(self).__name__} does not define `inverse`.")

    def seen(self, x: Tensor) -> Tensor:
        """What later tokens of `TransformerAutoregressive` see of x, of x's shape: by default x."""
        return x

    def split(self, outputs: Tensor) -> Sequence[Tensor] | Tensor:
        """The parameters that are in outputs `[..., num_parameters * channels]` of a network."""
        return ops.split(outputs, self.num_parameters, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Transform":
        """The transform of a config."""
        return cls(**config)
