"""Pretrained models that are checked before they are used, and the recipes that train models.

A model is a folder: config.json and model.weights.h5 as Keras saves them, without an optimizer;
recipe.yaml, which trains it again; metrics.jsonl, a line an epoch of its training; fixture.npz,
rows of the test set with their log-densities; samples.png; README.md, written from the card; and
card.json, with the length and hash of each.
"""

from tfflows.zoo.loading import card, load
from tfflows.zoo.model_card import Card, Published
from tfflows.zoo.readme import model_readme, results_table
from tfflows.zoo.recipe_files import RECIPES, find_recipe, recipe_names
from tfflows.zoo.saving import save_to_zoo
from tfflows.zoo.sources import cache_folder, find, is_model, list_models
from tfflows.zoo.verification import Verification, verify

__all__ = [
    "RECIPES",
    "Card",
    "Published",
    "Verification",
    "cache_folder",
    "card",
    "find",
    "find_recipe",
    "is_model",
    "list_models",
    "load",
    "model_readme",
    "recipe_names",
    "results_table",
    "save_to_zoo",
    "verify",
]
