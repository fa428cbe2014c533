"""Pretrained models that are checked before they are used, and the recipes that train models.

A model is a folder: config.json and model.weights.h5 as Keras saves them, without an optimizer;
recipe.yaml, which trains it again; metrics.jsonl, one line per epoch of its training; fixture.npz,
rows of the test set with their log-densities; samples.png; README.md, written from the card; and
card.json, with the length and hash of each.

Names are imported on first use: cards and lists of models are read without Keras.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfflows.zoo.detector_recipe import DetectorRecipe, fit_detector
    from tfflows.zoo.energy_recipe import EnergyRecipe, train_energy
    from tfflows.zoo.loading import load
    from tfflows.zoo.model_card import Card, Published
    from tfflows.zoo.readme import model_readme, results_table
    from tfflows.zoo.recipe_files import RECIPES, find_recipe, recipe_names
    from tfflows.zoo.saving import save_to_zoo
    from tfflows.zoo.sources import cache_folder, card, find, is_model, list_models
    from tfflows.zoo.table_recipe import TableRecipe, train_table
    from tfflows.zoo.verification import Verification, verify

_MODULES = {
    "RECIPES": "recipe_files",
    "Card": "model_card",
    "DetectorRecipe": "detector_recipe",
    "Published": "model_card",
    "Verification": "verification",
    "cache_folder": "sources",
    "card": "sources",
    "find": "sources",
    "fit_detector": "detector_recipe",
    "find_recipe": "recipe_files",
    "is_model": "sources",
    "list_models": "sources",
    "load": "loading",
    "model_readme": "readme",
    "recipe_names": "recipe_files",
    "results_table": "readme",
    "save_to_zoo": "saving",
    "EnergyRecipe": "energy_recipe",
    "TableRecipe": "table_recipe",
    "train_energy": "energy_recipe",
    "train_table": "table_recipe",
    "verify": "verification",
}
__all__ = [
    "RECIPES",
    "Card",
    "DetectorRecipe",
    "EnergyRecipe",
    "Published",
    "TableRecipe",
    "Verification",
    "cache_folder",
    "card",
    "find",
    "find_recipe",
    "fit_detector",
    "is_model",
    "list_models",
    "load",
    "model_readme",
    "recipe_names",
    "results_table",
    "save_to_zoo",
    "train_energy",
    "train_table",
    "verify",
]


def __getattr__(name):
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
