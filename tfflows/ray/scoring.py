"""Log-densities of the rows of many files, by actors of Ray that hold the model."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfflows.datasets.readers.table import MISSING_POLICIES
from tfflows.ray.file_scorer import FileScorer, Header, ScoreSettings
from tfflows.ray.files import Place, find_files
from tfflows.ray.score_folder import ScoreFolder
from tfflows.ray.session import check_fit, import_ray, session, worker_environment
from tfflows.ray.shipped_model import ShippedModel
from tfflows.saving import load_flow
from tfflows.utils.checks import check_positive

if TYPE_CHECKING:
    from tfflows.flow import Flow


@dataclasses.dataclass(frozen=True)
class ScoredFiles:
    """What `score` wrote.

    Attributes:
        files: files scored by this call.
        skipped: files whose scores were there already.
        rows: rows written by this call.
        missing: rows among them that have missing or infinite values, and the score NaN.
        dropped: rows left out because of missing values.
        refused: what is wrong with each file that has no scores, by its name.
        seconds: wall-clock time of this call, with the start of the actors.
    """

    files: int
    skipped: int
    rows: int
    missing: int
    dropped: int
    refused: dict[str, str]
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows written per second."""
        return self.rows / self.seconds


def score(
    model: "Flow | str | Path",
    source: str | Path | Sequence[str | Path],
    out: str | Path,
    columns: Sequence[str | int] | None = None,
    condition_columns: Sequence[str | int] = (),
    batch_size: int = 4096,
    *,
    missing: str = "refuse",
    keep: Sequence[str | int] = (),
    skip_bad: bool = False,
    num_actors: int | None = None,
    cpus_per_actor: int = 1,
    gpus_per_actor: float = 0,
    address: str | None = None,
    verbose: bool = False,
) -> ScoredFiles:
    """Write log p(x) of each row of many files, each of which one actor of Ray Data scores.

    The rows of data/a/b.parquet go to OUT/a/b.parquet in their order, by the rules of
    `tfflows.evaluation.score_file`: one row out per row in, unless `missing` is "drop". A file of
    scores appears when all of it is there. If an actor dies, another one scores its file anew. If
    this process dies, the same call goes on with the files that have no scores yet, or that have
    changed since.

    Example:
        tfflows.ray.score("zoo:maf-bsds300", "s3://bucket/patches", "s3://bucket/scores")

    Args:
        model: a flow, or what `tfflows.load_model` takes; its bytes go to the actors.
        source: a folder of .csv and .parquet files, with subfolders, a file, or a list of files;
            paths, or URIs that pyarrow knows (s3://, gs://, hdfs://, ...). All must have the same
            columns, or those that `columns` names.
        out: folder of the scores, Parquet files with a column "log_prob"; a path that all machines
            see, or a URI.
        columns, condition_columns, batch_size, missing, keep: as in `score_file`.
        skip_bad: whether to go on past files that cannot be scored, which `refused` lists then.
        num_actors: actors, each with the model in memory; None takes as many as there are cores or
            GPUs for, and files.
        cpus_per_actor: cores of each actor.
        gpus_per_actor: GPUs of each actor, of which several may share one: 0.5.
        address: of a cluster; None takes the session of Ray that there is, or this machine.
        verbose: whether Ray Data shows its progress.

    Returns:
        A `ScoredFiles`.

    Raises:
        ValueError: a file cannot be scored, which is named; `out` has scores of another model, of
            other columns or of another folder; there are fewer cores or GPUs than asked for.
        OSError: a file cannot be read or written, or `out` holds other files.
        ImportError: Ray is not installed.
        ConnectionError: nothing answers at the address.
    """
    begun = time.perf_counter()
    import_ray()
    _check(missing, batch_size, cpus_per_actor, gpus_per_actor, num_actors)
    root, files = find_files(source)
    flow = load_flow(model) if isinstance(model, str | Path) else model
    shipped = ShippedModel.of(flow)
    settings = ScoreSettings(columns, condition_columns, batch_size, missing, keep)
    # Before processes are started, which takes long. Past a bad file others may be good.
    header = Header.of_first(files, None if skip_bad else partial(settings.check, flow))
    folder = ScoreFolder(Place.of(out), root)
    folder.begin({"model": shipped.fingerprint, "source": root, **settings.meaning()})
    todo = [file for file in files if not folder.has(file)]
    results = []
    if todo:
        with session(address) as ray:
            count = _count_actors(ray, num_actors, cpus_per_actor, gpus_per_actor, len(todo))
            scorer = (shipped, folder, todo, settings, header)
            resources = {"num_cpus": cpus_per_actor, "num_gpus": gpus_per_actor}
            with contextlib.closing(_run(scorer, len(todo), count, resources, verbose)) as rows:
                results = _collect(rows, todo, skip_bad)
    folder.finish(files)
    good = [result for result in results if not result["error"]]
    return ScoredFiles(
        files=len(good),
        skipped=len(files) - len(todo),
        **{key: sum(int(r[key]) for r in good) for key in ("rows", "missing", "dropped")},
        refused={todo[r["number"]].name: r["error"] for r in results if r["error"]},
        seconds=time.perf_counter() - begun,
    )


def _check(missing, batch_size, cpus_per_actor, gpus_per_actor, num_actors):
    if missing not in MISSING_POLICIES:
        raise ValueError(f"missing must be one of {list(MISSING_POLICIES)}. Received: {missing!r}")
    check_positive(batch_size=batch_size, cpus_per_actor=cpus_per_actor)
    if num_actors is not None:
        check_positive(num_actors=num_actors)
    if not gpus_per_actor >= 0:
        raise ValueError(f"gpus_per_actor must be >= 0. Received: {gpus_per_actor!r}")


def _with_progress(error, num_written):
    ends = "" if error.endswith("?") else "."
    if not num_written:
        return f"{error}{ends}"
    return (
        f"{error}{ends} The scores of {num_written} files are written, and the same call goes on "
        "from there; --skip-bad or skip_bad=True goes on past bad files"
    )


def _count_actors(ray, num_actors, cpus, gpus, num_files):
    """How many actors to start, or ValueError where the cluster has not so much."""
    fit = check_fit(ray, "actors", num_actors or 1, cpus, gpus)
    return min(num_actors or fit, num_files)


def _run(scorer, num_files, num_actors, resources, verbose):
    """Results of `FileScorer`, a dict per file, as they come."""
    import ray.data  # pyright: ignore[reportMissingImports]

    if not verbose:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
    numbers = [{"number": number} for number in range(num_files)]
    dataset = ray.data.from_items(numbers, override_num_blocks=num_files).map_batches(
        FileScorer,
        fn_constructor_args=scorer,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=num_actors, max_tasks_in_flight_per_actor=1),
        runtime_env={"env_vars": worker_environment(resources["num_cpus"])},
        **resources,
    )
    dataset.context.enable_progress_bars = verbose
    yield from dataset.iter_rows()


def _collect(rows, files, skip_bad) -> list[dict[str, Any]]:
    results = []
    for result in rows:
        if result["error"] and not (skip_bad and result["is_bad_file"]):
            kind = ValueError if result["is_bad_file"] else OSError
            raise kind(_with_progress(result["error"], len(results)))
        results.append(result)
    if len(results) < len(files):
        raise OSError(f"Ray gave results of {len(results)} of {len(files)} files: call it again")
    return results
