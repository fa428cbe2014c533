"""SavedModels: written from flows, and called from Python with the calls of a flow."""

from tfflows.serving.export import export_flow
from tfflows.serving.served_flow import ServedFlow

__all__ = ["ServedFlow", "export_flow"]
