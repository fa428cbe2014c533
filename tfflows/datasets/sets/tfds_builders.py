"""TFDS builders of the MAF paper's datasets: importing this module lets `tfds.load` find them.

    import tfflows.datasets.sets.tfds_builders
    config = tfds.download.DownloadConfig(manual_dir="the unpacked archive")
    tfds.load("power", download_and_prepare_kwargs={"download_config": config})

Rows are {"x": float32 `[DIMS[name]]`}, preprocessed as `maf_archive` says, in its order, under the
splits "train", "validation" and "test".
"""

import numpy as np
import tensorflow_datasets as tfds

from tfflows.datasets.sets.maf_archive import DIMS, SPLITS, load_maf


class _MafBuilder(  # pyright: ignore[reportGeneralTypeIssues]
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # pyright: ignore[reportCallIssue]
):
    """One dataset of the archive, by its name."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Unpack data.tar.gz of https://zenodo.org/record/1161203 and give its folder as manual_dir."
    )

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.name.upper()} as preprocessed by Papamakarios et al. 2017.",
            features=tfds.features.FeaturesDict(
                {"x": tfds.features.Tensor(shape=(DIMS[self.name],), dtype=np.float32)}
            ),
            homepage="https://github.com/gpapamak/maf",
            disable_shuffling=True,  # the order of the original
        )

    def _split_generators(self, dl_manager):
        folder = str(dl_manager.manual_dir)
        return {split: self._generate_examples(folder, split) for split in SPLITS}

    def _generate_examples(self, folder, split):
        x, _, _ = load_maf(self.name, split, folder)
        for row, values in enumerate(x):
            yield row, {"x": values}


class Power(_MafBuilder):
    """POWER: household electric power, 6 columns."""


class Gas(_MafBuilder):
    """GAS: sensors in gas mixtures, 8 columns."""


class Hepmass(_MafBuilder):
    """HEPMASS: signal of particle collisions, 21 columns."""


class Miniboone(_MafBuilder):
    """MINIBOONE: neutrino events, 43 columns."""


class Bsds300(_MafBuilder):
    """BSDS300: 8 x 8 patches of natural images without their mean and last pixel, 63 columns."""
