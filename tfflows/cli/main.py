"""`tfflows`: train, evaluate, score, sample, plot, export, info, anomaly, ray, table, zoo.

Exit codes: 0 done, 1 failure (files, data, training), 2 usage (an option or value that cannot be).
"""

import click

from tfflows.cli.anomaly import anomaly_commands
from tfflows.cli.common import Commands
from tfflows.cli.evaluate import evaluate_command, score
from tfflows.cli.export import export
from tfflows.cli.info import info
from tfflows.cli.plot import plot
from tfflows.cli.ray import ray_commands
from tfflows.cli.sample import animate_command, sample
from tfflows.cli.table import table_commands
from tfflows.cli.train import train
from tfflows.cli.zoo import zoo_commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tfflows")
def main():
    """Train, evaluate, sample and export normalizing flows."""


for _command in (
    train,
    evaluate_command,
    score,
    sample,
    plot,
    animate_command,
    export,
    info,
    anomaly_commands,
    ray_commands,
    table_commands,
    zoo_commands,
):
    main.add_command(_command)

if __name__ == "__main__":
    main()
