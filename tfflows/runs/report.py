"""What came of a run: its best epoch, and held-out numbers beside a Gaussian's."""

import dataclasses
import json
from pathlib import Path

from tfflows.datasets import DatasetInfo, Rows
from tfflows.datasets.batches import Batches
from tfflows.evaluation import Evaluation, GaussianBaseline, evaluate
from tfflows.flow import Flow
from tfflows.runs.curve import best_epoch, read_epochs
from tfflows.runs.data import load_split
from tfflows.runs.recipe import Recipe, read_recipe
from tfflows.utils.atomic import replaced_on_success
from tfflows.utils.errors import first_paragraph
from tfflows.utils.keras_archive import read_archive

_MAX_ELEMENTS, _MAX_ROWS, _MAX_GAUSSIAN_DIMS = 2**20, 10_000, 4096


@dataclasses.dataclass(frozen=True)
class RunReport:
    """What came of a run.

    Attributes:
        best_epoch: epoch of best.keras, from 1.
        epochs: epochs that were trained.
        validation_nll: of the best epoch, in nats.
        test: log-likelihood of test rows, or None where there are none.
        gaussian: that of a full-covariance Gaussian on the same rows, which ignores conditions;
            None where there is no test set or an example has thousands of elements.
        why_no_test: what was wrong with the test rows, or None.
    """

    best_epoch: int
    epochs: int
    validation_nll: float
    test: Evaluation | None
    gaussian: Evaluation | None
    why_no_test: str | None = None

    def __str__(self) -> str:
        lines = [
            f"Best epoch {self.best_epoch} of {self.epochs}: validation nll "
            f"{self.validation_nll:.4f} nats"
        ]
        if self.test is not None:
            lines.append(f"Test: {self.test}")
        if self.why_no_test is not None:
            lines.append(f"No test: {self.why_no_test}")
        if self.gaussian is not None:
            lines.append(f"Gaussian on the same rows, without conditions: {self.gaussian}")
        if self.test is not None and self.gaussian is not None:
            gain = self.test.log_likelihood - self.gaussian.log_likelihood
            if not gain > 2 * self.test.standard_error:  # a NaN is no gain
                lines.append(
                    f"The flow is {gain:+.4f} nats from the Gaussian, which is not a clear gain: "
                    "train longer, raise the learning rate, or check preprocessing"
                )
        return "\n".join(lines)


def report_run(folder: str | Path) -> RunReport:
    """Evaluate best.keras of a run on evenly spread test rows, and write report.json beside it.

    At most 10,000 rows and a million elements are taken, or as many rows as the recipe validates
    by: `tfflows evaluate` takes all.

    Args:
        folder: of a run that `run_recipe` has trained.

    Raises:
        ValueError, OSError: the run or its data cannot be read.
    """
    folder = Path(folder)
    recipe = read_recipe(folder / "recipe.yaml")
    flow = read_archive(folder / "best.keras", Flow)
    epochs = read_epochs(folder)
    best = best_epoch(epochs)
    test = gaussian = why_no_test = None
    try:
        rows, info = load_split(recipe, "test")
    except (ValueError, OSError) as error:  # as of a recipe that leaves no rows for it
        why_no_test = first_paragraph(error)
    else:
        test, gaussian = _evaluate(flow, recipe, rows, info)
    report = RunReport(best.epoch, len(epochs), best.val_nll, test, gaussian, why_no_test)
    with replaced_on_success(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")
    return report


def _evaluate(flow: Flow, recipe: Recipe, rows: Rows, info: DatasetInfo):
    most = max(256, _MAX_ELEMENTS // flow.dims)
    rows = rows.spread(min(recipe.training.validation_rows or _MAX_ROWS, most))
    test = evaluate(flow, Batches(rows, 256).once(), round_trip=False)
    if flow.dims > _MAX_GAUSSIAN_DIMS:
        return test, None
    train = load_split(recipe, "train")[0].spread(10 * most)
    gaussian = GaussianBaseline(Batches(train, 256).once(), discrete=info.levels is not None)
    return test, gaussian.evaluate(Batches(rows, 256).once())
