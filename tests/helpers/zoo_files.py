"""Models of the zoo that tests change, and their densities."""

from keras import ops

from tfflows import datasets
from tfflows.zoo.model_card import FILES, describe_files, read_card, write_card

ALL = ["card.json", *FILES]


def log_prob(flow):
    (x, condition), _ = datasets.load_arrays("digits", "test", condition=True)
    return ops.convert_to_numpy(flow.log_prob(x[:50], condition[:50]))


def sign(folder, **changes):
    """Write the card anew, of the files as they are now, as an honest author would."""
    card = read_card(folder)
    write_card(card.model_copy(update={"files": describe_files(folder), **changes}), folder)
