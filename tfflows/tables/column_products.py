"""Products of the features of columns, each with a matrix of its own."""

from keras import ops

from tfflows.backend.tensor_ops import Tensor


def column_products(features: Tensor, kernel: Tensor) -> Tensor:
    """Features times the matrix of each column: `[n, columns, units]`.

    Args:
        features: `[n, columns, width]`, or `[n, 1, width]` where those of all columns are the same,
            which takes one product.
        kernel: `[columns, width, units]`.
    """
    columns, width, units = kernel.shape
    if features.shape[1] != 1 or columns == 1:
        return ops.einsum("ncw,cwu->ncu", features, kernel)
    whole = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (width, columns * units))
    return ops.reshape(ops.matmul(features[:, 0], whole), (-1, columns, units))
