"""Recipes, and runs that train by them in a folder."""

from tfflows.backend.processes import join_processes
from tfflows.runs.recipe import Recipe, make_recipe, read_recipe
from tfflows.runs.report import RunReport, report_run
from tfflows.runs.run import run_recipe

__all__ = [
    "Recipe",
    "RunReport",
    "join_processes",
    "make_recipe",
    "read_recipe",
    "report_run",
    "run_recipe",
]
