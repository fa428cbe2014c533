"""The recipes that tfflows brings."""

import importlib.resources
from pathlib import Path

from tfflows.utils.suggest import nearest

RECIPES = Path(str(importlib.resources.files("tfflows.zoo.data"))) / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that tfflows brings."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def find_recipe(recipe: str | Path) -> Path:
    """The path of a recipe file, or of one that tfflows brings; ValueError if it is neither."""
    path = Path(recipe)
    if path.is_file():
        return path
    names = recipe_names()
    if str(recipe) not in names:
        raise ValueError(
            f"There is no recipe file {str(recipe)!r}{nearest(str(recipe), names)}; "
            f"tfflows brings {names}"
        )
    return RECIPES / f"{recipe}.yaml"
