"""Solvers of ordinary differential equations, and gradients of their solutions."""

from tfflows.ode.solvers import DormandPrince, FixedStep, Solution, Solver

__all__ = ["DormandPrince", "FixedStep", "Solution", "Solver"]
