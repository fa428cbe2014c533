"""Solvers of ordinary differential equations, and gradients of their solutions."""

from tfflows.ode.solvers import DormandPrince, FixedStep, Solution, Solver, make_solver

__all__ = ["DormandPrince", "FixedStep", "Solution", "Solver", "make_solver"]
