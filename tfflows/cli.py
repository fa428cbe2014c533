"""The command line: `tfflows train | evaluate | sample | export | info`.

Exit codes: 0 done, 1 failure (files, data, training), 2 usage (an option or value that cannot be).
"""

import inspect
import sys
from ast import literal_eval
from pathlib import Path

import click
import keras
import numpy as np

from tfflows import datasets, models
from tfflows.evaluation import GaussianBaseline, evaluate
from tfflows.flow import Flow

MODELS = {
    "nice": models.NICE,
    "realnvp": models.RealNVP,
    "multiscale-realnvp": models.MultiScaleRealNVP,
}


class _Commands(click.Group):
    """Turns what a user can cause into one line and an exit code; names near subcommands."""

    def resolve_command(self, ctx, args):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            message = error.message.rstrip(".")
            raise click.UsageError(f"{message}{datasets.nearest(args[0], self.commands)}") from None

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, FloatingPointError, MemoryError) as error:
            raise click.ClickException(_first_paragraph(error)) from error


def _first_paragraph(error):
    """Keras appends the arguments of the call; the first paragraph is the message."""
    return (str(error) or type(error).__name__).strip().split("\n\n")[0]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tfflows")
def main():
    """Train, evaluate, sample and export normalizing flows."""


def _data_options(command):
    command = click.option(
        "--data-dir", type=click.Path(), help="Folder of TFDS datasets; default TFDS_DATA_DIR."
    )(command)
    return click.option(
        "--data", required=True, help="digits, moons, mnist, ... (any TFDS images)"
    )(command)


_model_option = click.option(
    "--model", "model_path", required=True, type=click.Path(), help="A saved .keras model."
)
_batch_option = click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True)


@main.command()
@_data_options
@click.option("--model", "model_name", required=True, help=" | ".join(MODELS))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Model argument.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@_batch_option
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--conditional", is_flag=True, help="Condition on the one-hot labels.")
@click.option("--jit/--no-jit", default=True, show_default=True, help="Compile by XLA.")
@click.option("--out", type=click.Path(), help="Folder; default runs/<data>-<model>.")
@click.option("--overwrite", is_flag=True, help="Replace a model that is there already.")
def train(
    data, data_dir, model_name, settings, epochs, batch_size, learning_rate, seed, conditional,
    jit, out, overwrite,
):  # fmt: skip
    """Train MODEL on DATA; writes flow.keras with the best validation weights."""
    path = Path(out or f"runs/{data}-{model_name}") / "flow.keras"
    if path.exists() and not overwrite:
        raise click.UsageError(f"{path} exists; choose another --out, or give --overwrite")
    keras.utils.set_random_seed(seed)
    arguments = _parse_settings(model_name, settings)
    train_data, info = _load(data, "train", data_dir, conditional)
    flow = _make_model(model_name, info, arguments, conditional)
    path.parent.mkdir(parents=True, exist_ok=True)
    train_data = train_data.cache().shuffle(min(info.size, 100_000), seed=seed)
    validation, _ = _load(data, "validation", data_dir, conditional)
    validation = validation.batch(batch_size).cache().prefetch(1)
    steps = -(-info.size // batch_size) * epochs
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    flow.compile(keras.optimizers.Adam(schedule, clipnorm=5.0), jit_compile=jit)
    checkpoint = keras.callbacks.ModelCheckpoint(
        str(path), "val_nll", mode="min", save_best_only=True
    )
    flow.fit(
        train_data.batch(batch_size, drop_remainder=info.size >= batch_size).prefetch(2),
        epochs=epochs,
        validation_data=validation,
        callbacks=[checkpoint],
    )
    click.echo(f"Wrote {path}")


def _make_model(name, info, arguments, conditional):
    if conditional:
        arguments["condition_shape"] = (info.num_classes,)
    if info.levels is not None:
        arguments.setdefault("levels", info.levels)
    try:
        return MODELS[name](event_shape=info.event_shape, **arguments)
    except (ValueError, TypeError) as error:
        raise click.UsageError(_first_paragraph(error)) from error


def _parse_settings(model_name, settings):
    """Arguments of the model from KEY=VALUE strings."""
    if model_name not in MODELS:
        hint = datasets.nearest(model_name, MODELS)
        raise click.UsageError(f"There is no model {model_name!r}{hint}; there are {list(MODELS)}")
    known = set(inspect.signature(MODELS[model_name].__init__).parameters)
    known -= {"self", "kwargs", "event_shape", "condition_shape", "base"}
    arguments = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set wants KEY=VALUE. Received: {setting!r}")
        if key not in known:
            hint = datasets.nearest(key, known)
            raise click.UsageError(f"{model_name} has no argument {key!r}{hint}; {sorted(known)}")
        try:
            words = {"true": True, "false": False, "none": None}
            arguments[key] = words[text.lower()] if text.lower() in words else literal_eval(text)
        except (ValueError, SyntaxError):
            arguments[key] = text
    return arguments


def _load(data, split, data_dir, conditional=False):
    try:
        return datasets.load(data, split, conditional, data_dir)
    except ValueError as error:
        raise click.UsageError(_first_paragraph(error)) from error


def _load_model(path) -> Flow:
    if not Path(path).exists():
        raise click.UsageError(f"There is no model at {path}")
    try:
        flow = keras.saving.load_model(path, compile=False)
    except Exception as error:  # a corrupt archive raises whatever zip, json or h5py does
        message = f"{path} is no readable model: {_first_paragraph(error)}"
        raise click.ClickException(message) from error
    if not isinstance(flow, Flow):
        raise click.ClickException(f"{path} holds a {type(flow).__name__}, which is no flow")
    return flow


@main.command(name="evaluate")
@_model_option
@_data_options
@click.option("--split", default="test", show_default=True)
@_batch_option
@click.option("--baseline", is_flag=True, help="Also fit and evaluate a full-covariance Gaussian.")
def evaluate_command(model_path, data, data_dir, split, batch_size, baseline):
    """Held-out log-likelihood, bits/dim and round-trip error of a saved model."""
    flow = _load_model(model_path)
    conditional = flow.condition_shape is not None
    dataset, info = _load(data, split, data_dir, conditional)
    if info.event_shape != flow.event_shape:
        raise click.UsageError(
            f"{model_path} wants data of shape {flow.event_shape}. Received: {data}, "
            f"{info.event_shape}"
        )
    click.echo(f"{data} {split}: {evaluate(flow, _progress(dataset, info, batch_size))}")
    if baseline:
        train_data, train_info = _load(data, "train", data_dir, conditional)
        gaussian = GaussianBaseline(
            _progress(train_data, train_info, batch_size), discrete=info.levels is not None
        )
        click.echo(f"Gaussian baseline: {gaussian.evaluate(dataset.batch(batch_size))}")


def _progress(dataset, info, batch_size):
    """Batches of a dataset, with a bar on standard error."""
    batches = dataset.batch(batch_size).prefetch(2)
    length = -(-info.size // batch_size)
    with click.progressbar(batches, length=length, file=sys.stderr, label=info.split) as bar:
        yield from bar


@main.command()
@_model_option
@click.option("--out", required=True, type=click.Path(), help="A .png, .csv or .npy file.")
@click.option("--num", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--temperature", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True
)
@click.option("--label", type=click.IntRange(0), help="Class to sample, for conditional models.")
def sample(model_path, out, num, seed, temperature, label):
    """Draw samples: a grid of images or a scatter plot as .png, or rows as .csv or .npy."""
    flow = _load_model(model_path)
    suffix = Path(out).suffix
    is_image = len(flow.event_shape) == 3 and flow.event_shape[-1] in (1, 3)
    if suffix not in (".png", ".csv", ".npy"):
        raise click.UsageError(f"--out wants a .png, .csv or .npy file. Received: {out}")
    if suffix == ".png" and not is_image and flow.dims != 2:
        raise click.UsageError(
            f"A .png wants images or 2-D points; write data of shape {flow.event_shape} as .csv"
        )
    x = np.asarray(flow.sample(num, _one_hot(flow, label), seed, temperature))
    _write_samples(flow, x, out, suffix, is_image)
    click.echo(f"Wrote {num} samples of shape {flow.event_shape} to {out}")


def _one_hot(flow, label):
    if flow.condition_shape is None:
        if label is not None:
            raise click.UsageError("--label is for conditional models, and this one is not")
        return None
    if len(flow.condition_shape) != 1:
        raise click.UsageError(
            f"--label wants a model of one-hot conditions. This one's are {flow.condition_shape}"
        )
    if label is None or label >= flow.condition_shape[0]:
        raise click.UsageError(f"--label wants a class from 0 to {flow.condition_shape[0] - 1}")
    return np.eye(flow.condition_shape[0], dtype="float32")[[label]]


def _write_samples(flow, x, out, suffix, is_image):
    from tfflows import plots
    from tfflows.files import replaced_on_success

    if suffix == ".png" and is_image:
        low, high = flow.data_range or (0, 1)
        plots.image_grid(x - low, out, levels=high - low + 1 if flow.is_discrete else 2)
    elif suffix == ".png":
        plots.scatter(x.reshape(-1, 2), out)
    else:
        with replaced_on_success(out) as temporary:
            if suffix == ".npy":
                np.save(temporary, x)
            else:
                np.savetxt(temporary, x.reshape(len(x), -1), delimiter=",", fmt="%.8g")


@main.command()
@_model_option
@click.option("--out", required=True, type=click.Path(), help="Model folder or version folder.")
def export(model_path, out):
    """Write a SavedModel with log_prob, encode, decode, sample and sample_seeds signatures."""
    flow = _load_model(model_path)
    click.echo(f"Wrote {flow.export(out)}")


@main.command()
@click.option("--model", "model_path", type=click.Path(), help="A saved .keras model.")
@click.option("--data", help="A dataset's name.")
@click.option("--data-dir", type=click.Path(), help="Folder of TFDS datasets.")
def info(model_path, data, data_dir):
    """Describe a saved model, a dataset, or, without options, what there is."""
    if model_path is not None:
        _load_model(model_path).summary(click.echo)
    if data is not None:
        _, description = _load(data, "train", data_dir)
        for field, value in vars(description).items():
            click.echo(f"{field:>12}  {value}")
    if model_path is None and data is None:
        click.echo(f"models    {', '.join(MODELS)}")
        click.echo(f"datasets  {', '.join(datasets.EMBEDDED)}, and TFDS images such as mnist")


if __name__ == "__main__":
    main()
