"""Whether a model of the zoo is what its card says."""

import dataclasses
from pathlib import Path

from tfflows.zoo.fixture import FixtureCheck, check_fixture
from tfflows.zoo.kinds import KINDS
from tfflows.zoo.loading import load_folder
from tfflows.zoo.model_card import Card, Metric, read_card
from tfflows.zoo.sources import find


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found where a model agrees with its card.

    Attributes:
        card: card of the model.
        fixture: the metric on the rows that travel with the model.
        metric: the metric on the test set, or None if it was not asked for.
    """

    card: Card
    fixture: FixtureCheck
    metric: Metric | None


def verify(name: str | Path, full: bool = False, data_dir: str | None = None) -> Verification:
    """Check a model's hashes, load it, and compute its metric anew.

    Args:
        name: a name, a folder or a URL; see `tfflows.zoo.find`.
        full: whether to evaluate the test set too, beside the rows that travel with the model; as
            many rows of it as for the card's metric. Of an energy, as many draws of the flow.
        data_dir: folder of the data, for `full`; of a table's file, or else that is expected in
            the working directory.

    Raises:
        FileNotFoundError, OSError: as `tfflows.zoo.find`, or the data are missing.
        ValueError: the model is not what its card says.
    """
    folder = find(name)
    card = read_card(folder)
    model, kind = load_folder(folder), KINDS[card.kind]
    if kind.num_parameters(model) != card.parameters:
        raise ValueError(
            f"Expected {card.name} to have {card.parameters:,} parameters, as on its card. "
            f"Received: {kind.num_parameters(model):,}"
        )
    fixture = check_fixture(model, card, folder)
    metric = None
    if full:
        count = card.metric.num_examples
        metric = kind.evaluate(model, folder, card, "test", data_dir, count)
        kind.check(metric, card)
    return Verification(card, fixture, metric)
