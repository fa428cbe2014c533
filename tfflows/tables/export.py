"""Export of a table flow: a SavedModel that takes and gives cells as they stand in the data."""

from pathlib import Path
from typing import TYPE_CHECKING

import keras

from tfflows.serving.export import export_in_tensorflow, write_saved_model
from tfflows.serving.versions import next_version
from tfflows.serving.warmup import check_warmup_extra
from tfflows.tables.argument_names import argument_names
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.finite_weights import check_finite_weights

if TYPE_CHECKING:
    from tfflows.tables.table_flow import TableFlow


def export_table(
    flow: "TableFlow",
    filepath: str | Path,
    format: str = "tf_saved_model",
    *,
    warmup: bool = False,
) -> Path | str:
    """Write a fitted table flow as a TensorFlow SavedModel.

    Its signatures are those of `tfflows.tables.signatures.make_table_signatures`, and log_prob is
    its serving_default too. The description beside the graph has the schema, and the name that each
    column has as an input.

    Args:
        flow: the flow. On the JAX backend a TensorFlow process writes the model.
        filepath: a version folder such as "models/adult/1", which must not exist yet, or a model
            folder such as "models/adult", which gets the next version.
        format: "tf_saved_model".
        warmup: whether to add a request to each signature, which TensorFlow Serving runs when it
            loads the model. Requires the extra `warmup`.

    Returns:
        The version folder; of a remote path (gs://, ...) a string.

    Raises:
        FileExistsError: the version is there already.
        ImportError: a package that is needed is not installed; nothing is written.
        ValueError: the flow is not fitted, a weight is not finite, or a column cannot stand in a
            SavedModel.
        OSError: the files cannot be written; nothing is left of the attempt.
    """
    # Here and not above: training on JAX does without TensorFlow.
    from tfflows.tables import graph_columns, signatures

    if format != "tf_saved_model":
        raise ValueError(
            "A table flow is exported as a SavedModel, because other formats lack strings: "
            f"expected `format` to be 'tf_saved_model'. Received: {format!r}"
        )
    arguments = argument_names(flow.fitted_encoder.schema.names)
    for column in flow.schema:
        graph_columns.check_servable(column)
    check_finite_weights(flow.weights)
    if warmup:
        check_warmup_extra()
    target = next_version(filepath)
    if keras.backend.backend() != "tensorflow":
        export_in_tensorflow(flow, target, {"warmup": warmup})
        return target
    facts = {
        "table_schema": flow.schema.get_config(),
        "arguments": arguments,
        "order": flow.order,
    }
    with replaced_on_success(target) as temporary:
        functions = signatures.make_table_signatures(flow)
        requests = signatures.example_requests(functions) if warmup else None
        functions["serving_default"] = functions["log_prob"]
        write_saved_model(temporary, flow, functions, facts, requests)
    return target
