"""Run exported models in software that is not ours, and compare with the live model.

    python scripts/check_serving.py [--write] [MODEL ...]

MODEL is a .keras file, a run or zoo:NAME; without any, one small model of each family is taken,
with random weights. saved_model_cli runs every signature, the others log_prob and decode. The table
says for each "yes" and the largest difference, relative to the largest value where that is above 1,
or why the model is refused. `--write` writes it into docs/results/serving.md, between two comments.
Fails where a number differs by more than 1e-4; a refusal is not a failure. Requires the extra
`serving`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import ops
from serving_software import SOFTWARE, Refused, is_installed

from tfflows import layers, models, networks, zoo
from tfflows.backend.rng import RowNoise
from tfflows.flow import Flow
from tfflows.saving import load_model

PAGE = Path(__file__).parents[1] / "docs" / "results" / "serving.md"
BEGIN = "<!-- serving: written by scripts/check_serving.py --write -->\n"
END = "<!-- /serving -->\n"
TOLERANCE = 1e-4
ROWS = 8

FAMILIES = {
    "NICE, pixels": lambda: models.NICE((4, 4, 1), 2, (16,), preprocessing=[layers.Dequantize(17)]),
    "RealNVP": lambda: models.RealNVP((3,), 4, (16, 16)),
    "RealNVP with a condition": lambda: models.RealNVP((3,), 4, (16, 16), condition_shape=(3,)),
    "multi-scale RealNVP, pixels": lambda: models.MultiScaleRealNVP(
        (4, 4, 1), 2, 1, filters=4, num_blocks=1, quantization_levels=17
    ),
    "Glow, pixels": lambda: models.Glow((4, 4, 1), 2, 1, 4, quantization_levels=17),
    "Jet, pixels": lambda: models.Jet((4, 4, 1), 2, 2, 8, 1, 2, quantization_levels=17),
    "MADE": lambda: models.MADEFlow((5,), hidden_units=(16,)),
    "MADE, mixtures": lambda: models.MADEFlow((5,), 3, (16,)),
    "MAF": lambda: models.MAF((5,), 2, (16,)),
    "IAF": lambda: models.IAF((5,), 2, (16,)),
    "NSF, couplings": lambda: models.NSF((4,), 2, 16, 1, 6),
    "NSF, autoregressive": lambda: models.NSF((4,), 2, 16, 1, 6, autoregressive=True),
    "FFJORD": lambda: models.FFJORD((2,), network=networks.DynamicsMLP((8,))),
}


def small_model(family: str) -> Flow:
    """A model of FAMILIES with random weights: an identity would prove nothing."""
    keras.utils.set_random_seed(0)
    flow = FAMILIES[family]()
    rng = np.random.default_rng(0)
    for weight in flow.weights:
        if "float" in weight.dtype and weight.name != "adapted":
            noise = rng.normal(scale=0.1, size=weight.shape)
            weight.assign(weight + ops.cast(noise, weight.dtype))
    return flow


def expected_answers(flow: Flow) -> dict[str, tuple[dict, dict]]:
    """Inputs and the live model's outputs, arrays by name, for each signature."""
    dtype = flow.compute_dtype
    condition, given = None, {}
    if flow.condition_shape is not None:
        size = int(np.prod(flow.condition_shape))
        rows = np.eye(size, dtype=dtype)[np.arange(ROWS) % size]
        condition = rows.reshape(ROWS, *flow.condition_shape)
        given = {"condition": condition}
    x = flow.sample(ROWS, condition, seed=0)
    z = flow.encode(x, condition)
    seeds = np.stack([np.arange(ROWS), np.full(ROWS, 3)], axis=1).astype("int32")
    by_row = flow.base.draw(RowNoise(ops.convert_to_tensor(seeds), dtype), condition)
    draw = {
        "num_samples": np.int32(ROWS),
        "seed": np.asarray([5, 0], "int32"),
        "temperature": np.float32(0.8),
    }
    drawn = flow.sample(ROWS, condition, seed=5, temperature=0.8)
    log_prob = {"log_prob": flow.log_prob(x, condition)}
    answers = {
        "log_prob": ({"x": x}, log_prob),
        "serving_default": ({"x": x}, log_prob),
        "encode": ({"x": x}, {"z": z}),
        "decode": ({"z": z}, {"x": flow.inverse(z, condition)}),
        "sample": (draw, {"x": drawn}),
        "sample_seeds": ({"seeds": seeds}, {"x": flow.inverse(by_row, condition)}),
    }
    return {
        name: (_arrays({**inputs, **given}), _arrays(outputs))
        for name, (inputs, outputs) in answers.items()
    }


def _arrays(tensors):
    return {name: ops.convert_to_numpy(value) for name, value in tensors.items()}


def difference(got: dict, expected: dict, is_discrete: bool = False) -> float:
    """The largest difference of two sets of outputs, relative to the largest value above 1.

    One element of discrete data in a hundred may be rounded to the next level.
    """
    if {k: v.shape for k, v in got.items()} != {k: v.shape for k, v in expected.items()}:
        return np.inf
    worst = 0.0
    for name, value in expected.items():
        error = np.abs(got[name].astype("float64") - value)
        if is_discrete and name == "x" and error.max() <= 1 and (error > 0).mean() <= 0.01:
            continue
        worst = max(worst, np.nan_to_num(error.max(), nan=np.inf) / max(1, np.abs(value).max()))
    return worst


def check_software(software: str, folder: Path, answers: dict, is_discrete: bool) -> dict:
    """By signature: the difference, or the reason why the software refuses it."""
    run, _ = SOFTWARE[software]
    found = {}
    for signature in answers if software == "saved_model_cli" else ("log_prob", "decode"):
        inputs, expected = answers[signature]
        try:
            found[signature] = difference(run(folder, signature, inputs), expected, is_discrete)
        except Refused as reason:
            found[signature] = str(reason)
    return found


def cell(found: dict) -> str:
    """A table's cell, from the differences or reasons of `check_software`."""
    numbers = [value for value in found.values() if not isinstance(value, str)]
    if len(numbers) == len(found) and max(numbers) <= TOLERANCE:
        return f"yes, {max(numbers):.0e}"
    if len(set(found.values())) == 1 and not numbers:
        return f"no: {next(iter(found.values()))}"
    return "; ".join(f"{signature} {_word(value)}" for signature, value in found.items())


def _word(value):
    if isinstance(value, str):
        return f"no: {value}"
    return f"yes, {value:.0e}" if value <= TOLERANCE else f"DIFFERS by {value:.0e}"


def open_models(references: list[str]):
    """Names and flows, one at a time."""
    for family in FAMILIES if not references else ():
        yield family, small_model(family)
    for reference in references:
        if reference.startswith("zoo:"):
            yield f"`{reference}`", zoo.load(reference.removeprefix("zoo:"))
        else:
            yield f"`{Path(reference).name}`", load_model(reference)


def make_table(references: list[str], software: list[str]) -> str:
    """The Markdown table; each row goes to standard error as soon as it is known."""
    lines = [f"| | {' | '.join(software)} |", f"|---|{'---|' * len(software)}"]
    for name, flow in open_models(references):
        with tempfile.TemporaryDirectory() as temporary:
            folder = flow.export(Path(temporary, "model", "1"))
            answers = expected_answers(flow)
            found = [check_software(s, folder, answers, flow.is_discrete) for s in software]
        lines.append(f"| {name} | {' | '.join(map(cell, found))} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "".join(f"{line}\n" for line in lines)


def with_table(text: str, table: str) -> str:
    """The text of a page with the table between its two comments."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"Expected {BEGIN.strip()} and {END.strip()} once each in the page")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}"


def main():
    """Check the models, write the table, and fail where a number differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", metavar="MODEL", nargs="*")
    parser.add_argument("--write", action="store_true", help="into docs/results/serving.md")
    parser.add_argument("--software", choices=SOFTWARE, action="append", help="only these")
    arguments = parser.parse_args()
    software = arguments.software or list(SOFTWARE)
    missing = [name for name in software if not is_installed(name)]
    if missing:
        sys.exit(f"Not installed: {', '.join(missing)}. pip install 'tfflows[serving]'")
    table = make_table(arguments.models, software)
    if arguments.write:
        PAGE.write_text(with_table(PAGE.read_text(), table))
    else:
        print(table, end="")
    if "DIFFERS" in table:
        sys.exit("A number differs from the live model's")


if __name__ == "__main__":
    main()
