"""Import paths of version 0.1, each refused by the name that stands in its place."""

import importlib.abc

MOVED = {
    "tfflows.adjoint": "tfflows.ode.adjoint",
    "tfflows.autodiff": "tfflows.backend.autodiff",
    "tfflows.cli_common": "tfflows.cli.common",
    "tfflows.cli_zoo": "tfflows.cli.zoo",
    "tfflows.compilation": "tfflows.backend.compilation",
    "tfflows.datasets.array_table": "tfflows.datasets.readers.npy",
    "tfflows.datasets.bsds_patches": "tfflows.datasets.sets.bsds_patches",
    "tfflows.datasets.csv_table": "tfflows.datasets.readers.csv",
    "tfflows.datasets.embedded": "tfflows.datasets.sets.embedded",
    "tfflows.datasets.files": "tfflows.datasets.user_file",
    "tfflows.datasets.labels": "tfflows.datasets.readers.labels",
    "tfflows.datasets.maf_archive": "tfflows.datasets.sets.maf_archive",
    "tfflows.datasets.npz_images": "tfflows.datasets.sets.npz_images",
    "tfflows.datasets.parquet_table": "tfflows.datasets.readers.parquet",
    "tfflows.datasets.tables": "tfflows.datasets.readers.table",
    "tfflows.datasets.tfds_builders": "tfflows.datasets.sets.tfds_builders",
    "tfflows.datasets.tfds_images": "tfflows.datasets.sets.tfds_images",
    "tfflows.datasets.toys": "tfflows.datasets.sets.toys",
    "tfflows.divergence": "tfflows.runs.diagnose",
    "tfflows.export": "tfflows.serving.export",
    "tfflows.files": "tfflows.utils.atomic",
    "tfflows.film": "tfflows.evaluation.animation",
    "tfflows.flow_matching": "tfflows.training.flow_matching",
    "tfflows.inputs": "tfflows.training.inputs",
    "tfflows.latents": "tfflows.evaluation.latents",
    "tfflows.layers.adaptive_layer": "tfflows.layers.data_dependent_layer",
    "tfflows.networks.made_inversion": "tfflows.networks.made.inversion",
    "tfflows.networks.masked_dense": "tfflows.networks.made.masked_dense",
    "tfflows.networks.order": "tfflows.networks.made.order",
    "tfflows.plots": "tfflows.evaluation.plots",
    "tfflows.random": "tfflows.backend.rng",
    "tfflows.recipes": "tfflows.runs.recipe",
    "tfflows.schema": "tfflows.utils.schema",
    "tfflows.scoring": "tfflows.evaluation.scoring",
    "tfflows.solvers": "tfflows.ode.solvers",
    "tfflows.summary": "tfflows.utils.summary",
    "tfflows.tensors": "tfflows.backend.tensor_ops",
    "tfflows.training_run": "tfflows.runs.run",
    "tfflows.variational": "tfflows.training.reverse_kl",
    "tfflows.warmup": "tfflows.serving.warmup",
}

RENAMED = {
    "tfflows.layers.AdaptiveLayer": "tfflows.layers.DataDependentLayer",
    "tfflows.models.MADE": "tfflows.models.MADEFlow",
    "tfflows.serving.open_model": "tfflows.load_model",
}


class MovedFinder(importlib.abc.MetaPathFinder):
    """Raises ImportError for a module of version 0.1 that has another name now."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname in MOVED:
            raise ImportError(f"{fullname} has moved: import {MOVED[fullname]}", name=fullname)
        if fullname in RENAMED:  # what `from tfflows.models import MADE` looks for at last
            raise ImportError(f"{fullname} is now {RENAMED[fullname]}", name=fullname)
        return None


def moved_attribute(module: str, name: str) -> str:
    """What an AttributeError of `module` says of `name`, and where it is now if it has moved."""
    message = f"module {module!r} has no attribute {name!r}"
    full = f"{module}.{name}"
    if full in RENAMED:
        return f"{message}: it is now {RENAMED[full]}"
    return f"{message}: it has moved to {MOVED[full]}" if full in MOVED else message
