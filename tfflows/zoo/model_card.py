"""Model cards: what a model is, was trained on and reaches, and the hashes of its files."""

import hashlib
import math
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from tfflows.utils.bounded_json import parse_json
from tfflows.utils.schema import Section, readable_error

FORMAT = 1
CARD = "card.json"
MAX_CARD_BYTES = 2**20
# All of a model but its card, in the order in which they are written.
FILES = (
    "config.json", "model.weights.h5", "recipe.yaml", "metrics.jsonl", "fixture.npz", "samples.png",
    "README.md",
)  # fmt: skip
NAME = r"^[A-Za-z0-9][\w.-]*$"
_BLANK_SHA256 = "0" * 64

Count = Annotated[int, pydantic.Field(ge=0)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Text = Annotated[str, pydantic.Field(min_length=1)]
Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
Units = Literal["nats", "bits/dim", "AUROC"]
KindName = Literal["flow", "table", "detector", "energy"]


class File(Section):
    """Length and hash of one file of the model."""

    bytes: Count
    sha256: Sha256


class Data(Section):
    """What the model was trained and evaluated on.

    `name` is the argument of `tfflows.datasets.load`, or what a table is called; `train`,
    `validation` and `test` are numbers of rows; `columns` are the kinds of a table's columns by
    their names, and None of other data.
    """

    name: Text
    source: Text
    licence: Text
    event_shape: tuple[int, ...]
    levels: int | None
    classes: int | None
    preprocessing: Text
    columns: dict[str, Text] | None = None
    train: Count
    validation: Count
    test: Count

    @pydantic.model_serializer(mode="wrap")
    def _for_earlier_versions(self, serialize):
        """They refuse keys that they do not know, and know all of data that are not tables."""
        return {k: v for k, v in serialize(self).items() if k != "columns" or v is not None}


class SolverError(Section):
    """What solving equations costs log p(x), beside a tight solution, in nats.

    `mean` is of all `num_examples` rows, signed; `largest` that of one row.
    """

    mean: float
    largest: Annotated[float, pydantic.Field(ge=0)]
    num_examples: Count


class FalseAlarms(Section):
    """Share of normal rows that a detector calls abnormal: the `nominal` one and that of a test."""

    nominal: float
    found: float
    num_examples: Count


class Metric(Section):
    """Of the test set: mean log-likelihood in nats, or bits/dim, which is better when lower.

    Of detectors it is the area under the ROC, with `false_alarms`. Models that solve equations have
    a `solver_error`. Of an energy, which has no test set, it is the estimate of log Z by as many
    draws of the flow, beside their effective sample size `ess` and the `acceptance` of independence
    Metropolis; both are shares.
    """

    units: Units
    value: float
    standard_error: Annotated[float, pydantic.Field(ge=0)]
    num_examples: Count
    num_draws: Annotated[int, pydantic.Field(ge=1)] = 1
    solver_error: SolverError | None = None
    false_alarms: FalseAlarms | None = None
    ess: Share | None = None
    acceptance: Share | None = None

    @pydantic.model_serializer(mode="wrap")
    def _for_earlier_versions(self, serialize):
        """They refuse keys that they do not know, and know all of metrics of flows."""
        new = ("false_alarms", "ess", "acceptance")
        return {k: v for k, v in serialize(self).items() if k not in new or v is not None}


class Published(Section):
    """A number to compare the metric with, its units, and the publication it is from."""

    value: float
    units: Units
    source: Text


class Training(Section):
    """How the weights came about; they are those after `best_epoch`."""

    seed: Count
    epochs: Count
    best_epoch: Count
    minutes: Annotated[float, pydantic.Field(ge=0)]
    machine: Text
    versions: dict[str, str]


class Card(Section):
    """All that is said of a model of the zoo, and the length and hash of each of its files.

    `sha256` is the hash of the card's text with that hash written as zeros, so that a changed byte
    of the card is seen as well.
    """

    format: int = FORMAT
    name: Annotated[str, pydantic.Field(pattern=NAME)]
    family: Text
    data: Data
    parameters: Count
    metric: Metric
    published: Published | None
    training: Training
    limitations: Text
    files: dict[str, File]
    sha256: Sha256 = _BLANK_SHA256

    @property
    def kind(self) -> KindName:
        """A flow over arrays or images, over a typed table, on an energy; or a detector."""
        if self.metric.units == "AUROC":
            return "detector"
        if self.metric.ess is not None:
            return "energy"
        return "flow" if self.data.columns is None else "table"

    @pydantic.field_validator("files")
    @classmethod
    def _has_every_file(cls, files):
        if set(files) != set(FILES):
            raise ValueError(f"A model has the files {list(FILES)}. Received: {list(files)}")
        return files


def in_units(log_likelihood: float, units: Units, dims: int) -> float:
    """A mean log-likelihood in nats of events of `dims` elements, in the units of a metric."""
    return log_likelihood if units == "nats" else -log_likelihood / (dims * math.log(2))


def describe_files(folder: Path) -> dict[str, File]:
    """Length and hash of each file of a model, for its card."""
    return {name: _describe(folder / name) for name in FILES}


def _describe(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
        return File(bytes=file.tell(), sha256=digest.hexdigest())


def check_files(folder: Path, card: Card) -> None:
    """Refuse a model whose files are not those of its card.

    Raises:
        ValueError: a file is missing, has another length or another hash.
    """
    for name, expected in card.files.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{folder} is not a whole model: {name} is missing")
        length = path.stat().st_size
        if length != expected.bytes:
            raise ValueError(
                f"{path} is not the file of the card. Expected: {expected.bytes:,} bytes. "
                f"Received: {length:,} bytes"
            )
        found = _describe(path)
        if found.sha256 != expected.sha256:
            raise ValueError(
                f"{path} is not the file of the card. Expected: sha256 {expected.sha256}. "
                f"Received: {found.sha256}"
            )


def write_card(card: Card, folder: Path) -> None:
    """Write a card into the folder of its model, with the hash of its text."""
    text = card.model_copy(update={"sha256": _BLANK_SHA256}).model_dump_json(indent=2) + "\n"
    (folder / CARD).write_bytes(text.replace(_BLANK_SHA256, _hash_of(text)).encode("utf-8"))


def read_card(folder: Path, sha256: str | None = None) -> Card:
    """The card of the model in a folder.

    Args:
        folder: folder of a model.
        sha256: the hash that the card must state, if it is known.

    Raises:
        ValueError: the card is missing, lacks something, or a byte of it has changed.
    """
    path = folder / CARD
    if not path.is_file():
        raise ValueError(f"{folder} is not a model of a zoo: it has no {CARD}")
    length = path.stat().st_size
    if length > MAX_CARD_BYTES:
        raise ValueError(
            f"{path} is not a card: Expected at most {MAX_CARD_BYTES:,} bytes. "
            f"Received: {length:,} bytes"
        )
    raw = path.read_bytes()
    try:
        content = parse_json(raw, path)
    except ValueError as error:
        raise ValueError(f"{path} is not a card: {error}") from error
    text = raw.decode("utf-8")
    _check_format(content, path)
    try:
        card = Card.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise readable_error(error, Card, str(path)) from error
    found = _hash_of(text.replace(card.sha256, _BLANK_SHA256))
    if found != card.sha256:
        raise ValueError(
            f"{path} has changed. Expected: sha256 {card.sha256}, as it states. Received: {found}"
        )
    if sha256 not in (None, card.sha256):
        raise ValueError(
            f"{path} is another card. Expected: sha256 {sha256}. Received: {card.sha256}"
        )
    return card


def _check_format(content, path):
    version = content.get("format", FORMAT) if isinstance(content, dict) else FORMAT
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{path}: format: this tfflows reads cards of format {FORMAT}. "
            f"Received: {version}, of a newer version; update tfflows"
        )


def _hash_of(text):
    """sha256 of a card's text, in which the hash is written as zeros."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
