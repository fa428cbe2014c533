"""Pretrained models, and the recipes that train models."""

from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"

__all__ = ["RECIPES"]
