"""Recipes, and runs that train by them in a folder."""

from tfflows.runs.recipe import Recipe, make_recipe, read_recipe
from tfflows.runs.run import run_recipe

__all__ = ["Recipe", "make_recipe", "read_recipe", "run_recipe"]
