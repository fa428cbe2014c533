"""What stands in the folder of a run, and whether a run may go on in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfflows.runs.recipe import Recipe, read_recipe
from tfflows.utils.atomic import remove_leftovers, replaced_on_success

# What may change between a run and its resumption, beside where the data are.
_MAY_CHANGE = {
    "data": {"dir"},
    "training": {"epochs", "early_stopping"},
    "backend": {"strategy", "jit"},
}


class RunFolder:
    """The folder of a run.

    Args:
        path: a new folder, or that of a run.
    """

    def __init__(self, path: Path):
        self.path = path
        self.best = path / "best.keras"
        self._last = path / "last.keras"
        self._recipe = path / "recipe.yaml"
        self._facts = path / "run.json"

    @property
    def is_begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return self._last.exists()

    def check(self, recipe: Recipe, resume: bool) -> None:
        """Refuse what would replace or mix runs.

        Raises:
            FileExistsError: there is a run already, and it should not be resumed.
            ValueError: the run in the folder has another recipe.
        """
        if self.is_begun and not resume:
            raise FileExistsError(
                f"{self.path} holds a run already: give --resume to go on with it, or another "
                "folder"
            )
        if not resume or not self._recipe.exists():
            return
        saved = read_recipe(self._recipe).model_dump(exclude=_MAY_CHANGE)
        changed = differences(saved, recipe.model_dump(exclude=_MAY_CHANGE))
        if changed:
            raise ValueError(f"{self.path} holds a run of another recipe. Different: {changed}")

    def check_data(self, described: Mapping[str, Any]) -> None:
        """ValueError unless the data are those that the run began with.

        Args:
            described: what identifies them, of `RunData.describe`.
        """
        saved = json.loads(self._facts.read_text())["data"]
        changed = differences(saved, {key: described.get(key) for key in saved})
        if changed:
            raise ValueError(
                f"The data of the run in {self.path} have changed. Different: {changed}"
            )

    def write(self, recipe: Recipe, facts: Mapping[str, Any] | None = None) -> None:
        """Write the recipe, and the facts of a new run."""
        recipe.write(self._recipe)
        if facts is not None:
            with replaced_on_success(self._facts) as temporary:
                temporary.write_text(json.dumps(facts, indent=2) + "\n")

    def remove_leftovers(self) -> None:
        """Remove half-written files of a run that was killed; expects the folder's lock."""
        remove_leftovers(self.path)


def differences(saved, given, prefix=""):
    """ "a.b: old, now new" for each value that changed."""
    if isinstance(saved, dict) and isinstance(given, dict):
        keys = dict.fromkeys([*saved, *given])
        parts = [differences(saved.get(k), given.get(k), f"{prefix}{k}.") for k in keys]
        return "; ".join(filter(None, parts))
    return "" if saved == given else f"{prefix[:-1]}: {saved!r}, now {given!r}"
