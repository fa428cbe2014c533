"""SavedModels: written from flows, and called from Python with the calls of a flow."""

from tfflows.serving.export import export_flow
from tfflows.serving.served_flow import ServedFlow
from tfflows.utils.moved import moved_attribute

__all__ = ["ServedFlow", "export_flow"]


def __getattr__(name):
    raise AttributeError(moved_attribute(__name__, name))
