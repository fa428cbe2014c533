"""TableFlow: the exact density of typed rows, for any order and any set of given columns."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfflows.backend import rng
from tfflows.tables.any_order import AnyOrder
from tfflows.tables.columns import Cells
from tfflows.tables.encoder import Encoded, Encoder, number_columns
from tfflows.tables.export import export_table
from tfflows.tables.given import per_row, places_of
from tfflows.tables.schema import Schema
from tfflows.tables.table_density import TableDensity
from tfflows.utils.atomic import replaced_on_success


@keras.saving.register_keras_serializable(package="tfflows")
class TableFlow(TableDensity):
    """An autoregressive flow over the typed columns of a table.

        log p(row) = sum_i log p(column i | columns before i)

    in nats: densities of real columns, in their own units, times masses of the others. It is exact,
    not a bound. Trained over random orders it answers p(any columns | any others); trained on one
    order it is a little better in that order, and conditions on its first columns.

    Args:
        schema: columns of the table; see `Schema.infer`.
        width: features of the network.
        num_blocks: residual blocks of the network.
        num_components: logistics in the mixture of each number.
        order: "random", or the names of all columns in the order that is trained.
        activation, dropout: of the network's blocks.

    Example:
        schema = tfflows.tables.Schema.infer(frame)
        flow = tfflows.tables.TableFlow(schema)
        flow.compile(keras.optimizers.AdamW(1e-3))
        flow.fit(frame, epochs=50)
        flow.log_prob(frame)  # [n]
        flow.sample(100, given={"sex": "Female"})  # a DataFrame
    """

    def __init__(
        self,
        schema: Schema,
        width: int = 256,
        num_blocks: int = 2,
        num_components: int = 8,
        order: str | Sequence[str] = "random",
        activation: str = "silu",
        dropout: float = 0.0,
        **kwargs,
    ):
        network = AnyOrder(schema, width, num_blocks, num_components, activation, dropout)
        super().__init__(network, order, **kwargs)
        self._settings = {
            "width": width,
            "num_blocks": num_blocks,
            "num_components": num_components,
            "activation": activation,
            "dropout": dropout,
        }

    def log_prob(
        self,
        data: Any,
        given: Sequence[str] = (),
        num_orders: int = 1,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """log p of each row in nats, `[n]`, in the units of the data.

        Args:
            data: a table, as `Schema.parse` takes it. A missing cell counts as a value, in a column
                whose schema allows it.
            given: names of columns that are conditioned on: log p(the others | these).
            num_orders: orders of columns in an ensemble, whose density is the mean of theirs. Only
                where the flow is trained over random orders.
            batch_size: rows at a time; by default fewer of more columns, 4,096 of 16.

        Raises:
            ValueError: a cell does not fit the schema, a name in `given` is not a column, or the
                flow's one order does not begin with the given columns.
        """
        encoded = self.fitted_encoder.encode(self.schema.parse(data))
        places = places_of(self.schema, given)
        seen = np.zeros(encoded.codes.shape, "float32")
        seen[:, places] = 1
        return self.log_prob_of_encoded(encoded, seen, num_orders, batch_size=batch_size)

    def log_prob_of_cells(
        self, data: Any, given: np.ndarray, num_orders: int = 1, batch_size: int | None = None
    ) -> np.ndarray:
        """log p of some cells of each row given its others, `[n]`; see `log_prob`.

        Args:
            data: a table without missing cells in what is not given, unless the schema allows them.
            given: bool `[n, columns]`, which cells are conditioned on.
            num_orders, batch_size: as in `log_prob`.
        """
        encoded = self.fitted_encoder.encode(self.schema.parse(data))
        if np.shape(given) != encoded.codes.shape:
            raise ValueError(
                f"Expected `given` to have shape {encoded.codes.shape}. Received: {np.shape(given)}"
            )
        return self.log_prob_of_encoded(
            encoded, np.asarray(given, "float32"), num_orders, batch_size=batch_size
        )

    def sample(
        self,
        num_samples: int,
        given: Mapping[str, Any] | None = None,
        seed: rng.Seed = None,
        num_orders: int = 1,
        to: str = "pandas",
        batch_size: int | None = None,
    ) -> Any:
        """Draw rows, as a table with the names, dtypes and categories of the training data.

        Args:
            num_samples: number of rows.
            given: values of columns that rows are drawn given: one for all, or one per row.
            seed: None (fresh), an integer, or what else `Flow.sample` takes.
            num_orders: as in `log_prob`, whose density the rows have.
            to: "pandas", "dict" or "arrow".
            batch_size: rows at a time; by default fewer of more columns, 4,096 of 16.

        Raises:
            ValueError: `given` names no column, or holds a value that its column does not allow.
        """
        if num_samples < 0:
            raise ValueError(f"Expected `num_samples` to be at least 0. Received: {num_samples}")
        columns = {name: per_row(name, v, num_samples) for name, v in (given or {}).items()}
        places_of(self.schema, columns)
        cells = self.schema.parse(columns, columns=list(columns)) if columns else {}
        drawn = self.sample_cells(num_samples, cells, None, seed, num_orders, batch_size)
        return self.schema.unparse(drawn, to=to)

    def sample_cells(
        self,
        num_samples: int,
        given: Mapping[str, Cells],
        columns: Sequence[str] | None = None,
        seed: rng.Seed = None,
        num_orders: int = 1,
        batch_size: int | None = None,
    ) -> dict[str, Cells]:
        """As `sample`, of cells that `Schema.parse` gave, and of some columns only.

        Args:
            num_samples, seed, num_orders, batch_size: as in `sample`.
            given: cells `[num_samples]` of columns that rows are drawn given.
            columns: names of those that are drawn, without the rest of the row; None draws all. A
                flow of one order draws those before them as well.

        Returns:
            Cells of the given columns and of those that were drawn.
        """
        encoded = self._encode_some(given, num_samples)
        seen = np.zeros(encoded.codes.shape, "float32")
        seen[:, places_of(self.schema, given)] = 1
        wanted = None if columns is None else places_of(self.schema, columns)
        drawn = self.draw_encoded(
            encoded, seen, rng.make_seed(seed), num_orders, True, batch_size, wanted
        )
        chain = self.chain(self.orders(1)[0], wanted)
        names = {self.schema.names[place] for place in chain} | set(given)
        return {name: given.get(name, drawn[name]) for name in self.schema.names if name in names}

    def impute(
        self,
        data: Any,
        num_draws: int = 1,
        seed: rng.Seed = None,
        num_orders: int = 1,
        to: str = "pandas",
        batch_size: int | None = None,
    ) -> Any:
        """Draw the missing cells of each row given its others.

        Args:
            data: a table, in which any cell may be missing.
            num_draws: of each row.
            seed, num_orders, to, batch_size: as in `sample`.

        Returns:
            `num_draws * n` rows: all rows of `data` in order, as often as they are drawn. Cells
            that were there stay as they were.
        """
        cells = self.schema.parse(data, allow_missing=True)
        cells = {
            name: Cells(np.tile(cell.values, num_draws), np.tile(cell.missing, num_draws))
            for name, cell in cells.items()
        }
        return self.schema.unparse(self.impute_cells(cells, seed, num_orders, batch_size), to=to)

    def impute_cells(
        self,
        cells: Mapping[str, Cells],
        seed: rng.Seed = None,
        num_orders: int = 1,
        batch_size: int | None = None,
    ) -> dict[str, Cells]:
        """As `impute` with one draw, of cells that `Schema.parse` gave with `allow_missing`."""
        seen = np.stack([~cell.missing for cell in cells.values()], axis=1).astype("float32")
        encoded = self.fitted_encoder.encode(cells)
        drawn = self.draw_encoded(encoded, seen, rng.make_seed(seed), num_orders, False, batch_size)
        return {
            name: Cells(
                np.where(cell.missing, drawn[name].values, cell.values),
                np.zeros(len(cell.missing), bool),
            )
            for name, cell in cells.items()
        }

    def _encode_some(self, cells, rows) -> Encoded:
        if cells:
            return self.fitted_encoder.encode(cells)
        codes = np.zeros((rows, len(self.schema)), "int32")
        return Encoded(codes, np.zeros((rows, len(number_columns(self.schema)), 4), "float32"))

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs) -> None:
        """`keras.Model.save` that replaces `filepath` only once the new file is whole."""
        if Path(filepath).suffix != ".keras":
            raise ValueError(f"A table flow is saved as a .keras file. Received: {filepath}")
        if not overwrite and Path(filepath).exists():
            raise FileExistsError(f"{filepath} exists already: overwrite=True replaces it")
        with replaced_on_success(filepath) as temporary:
            super().save(temporary, **kwargs)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",  # Keras' own name
        verbose: bool | None = None,
        input_signature: None = None,
        *,
        warmup: bool = False,
    ) -> Path | str:
        """Write a SavedModel that takes and gives cells as they stand in the data.

        It has the signatures log_prob, sample, sample_given and impute, with one input or output
        per column: see `tfflows.tables.export.export_table`.

        Args:
            filepath: a version folder such as "models/adult/1", which must not exist yet, or a
                model folder such as "models/adult", which gets the next version.
            format: "tf_saved_model".
            verbose: whether to print where the model was written.
            input_signature: must be None, because every signature has its own inputs.
            warmup: whether to add requests that TensorFlow Serving runs when it loads the model.

        Returns:
            The version folder; of a remote path (gs://, ...) a string.

        Raises:
            FileExistsError: the version is there already.
            ValueError: the flow is not fitted, or a column cannot stand in a SavedModel.
            OSError: the files cannot be written; nothing is left of the attempt.
        """
        if input_signature is not None:
            raise ValueError(
                "A table flow is exported with one input per column: input_signature must be None. "
                f"Received: {input_signature!r}"
            )
        path = export_table(self, filepath, format, warmup=warmup)
        if verbose:
            sys.stdout.write(f"Saved artifact at '{path}'.\n")
        return path

    def get_config(self) -> dict[str, Any]:
        config = {"name": self.name, "dtype": self.dtype, "order": self.order, **self._settings}
        if self.encoder is None:
            return {**config, "schema": self.schema.get_config()}
        return {**config, **self.encoder.get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TableFlow":
        config = dict(config)
        schema, marginals = Schema.from_config(config.pop("schema")), config.pop("marginals", None)
        flow = cls(schema, **config)
        if marginals is not None:
            flow.encoder = Encoder.from_config(
                {"schema": schema.get_config(), "marginals": marginals}
            )
        return flow
