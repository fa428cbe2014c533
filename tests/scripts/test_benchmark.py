"""The benchmark: its table's arithmetic, adapters, and whole runs of a small case."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from marks import needs_tensorflow

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

FAKE_ADAPTER = '''
"""A library of no arithmetic."""
import numpy as np
from benchmarks.subject import Subject

REQUIREMENTS = []
GROUP = "tensorflow"
MODES = ["works", "breaks"]


def build_realnvp(case, mode, x):
    rows = np.zeros(case.batch_size if mode == "works" else 3)
    return Subject(5, lambda steps: None, lambda: rows, lambda: np.zeros((16, 4)))
'''


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmarks import environments, report, rows

    return environments, report, rows


def run(*arguments):
    command = [sys.executable, str(SCRIPTS / "benchmark"), "--rounds", "2", "--steps", "3"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    return subprocess.run(
        [*command, "--calls", "2", "--threads", "1", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


def result(library, train, log_prob, sample, **more):
    return {
        "library": library,
        "mode": "fast",
        "group": "tensorflow",
        "parameters": 12345,
        "peak_megabytes": 99.6,
        "medians": {"train": train, "log_prob": log_prob, "sample": sample, **more},
    }


def test_table_divides_by_the_first_tfflows_row(benchmarks):
    _, report, _ = benchmarks
    rows = [
        result("tfflows", 10, 2, 4, bare_train=9.6),
        result("a", 15, 1, 8),
        result("b", 20, 9, 9),
    ]
    table = report.group_table(rows)
    assert table[2] == (
        "| tfflows | fast | 10.00 | 1.00 | 2.00 | 1.00 | 4.00 | 1.00 | 12,345 | 100 |"
    )
    assert table[3].startswith("| tfflows | fast, bare step | 9.60 | 0.96 | ")
    assert table[4] == "| a | fast | 15.00 | 1.50 | 1.00 | 0.50 | 8.00 | 2.00 | 12,345 | 100 |"
    assert {line.count("|") for line in table} == {11}
    assert report.verdicts(rows) == [
        "train: tfflows takes 0.67 of the time of the fastest other, a (fast).",
        "log_prob: tfflows takes 2.00 of the time of the fastest other, a (fast).",
        "sample: tfflows takes 0.50 of the time of the fastest other, a (fast).",
        "fit: a step takes 1.042 of the bare compiled step (fast).",
    ]


def test_a_small_share_is_said_as_a_fraction(benchmarks):
    _, report, _ = benchmarks
    rows = [result("tfflows", 10, 2, 4), result("a", 15, 1, 184)]
    assert report.verdicts(rows)[2] == (
        "sample: tfflows takes 1/46 of the time of the fastest other, a (fast)."
    )


def test_rows_on_a_gpu_say_the_step_and_what_fit_makes_of_it(benchmarks):
    from benchmarks import gpu

    ours = result("tfflows", 0.6, 0.2, 2.0, bare_train=0.5)
    results = [
        {**row, "case": "maf-784", "first_step_seconds": 12.34}
        for row in (ours, result("flowjax", 1.0, 0.4, 80.0))
    ]
    table = gpu.make_table(results)
    assert table[0] == gpu.HEADINGS
    assert table[1:] == [
        ["MAF, 784 dimensions", "tfflows", "fast", "12.3", "0.50", "0.60", "0.20", "2.00", "12345"],
        ["", "flowjax", "fast", "12.3", "1.00", "", "0.40", "80.00", "12345"],
    ]
    assert gpu.verdicts(results) == [
        "MAF, 784 dimensions, fast: fit takes 1.20 of the step; flowjax (fast): step 0.50, "
        "log_prob 0.50, sample 1/40."
    ]


def test_every_row_on_a_gpu_has_an_adapter_and_a_case(benchmarks):
    environments, _, _ = benchmarks
    from benchmarks import gpu
    from benchmarks.cases import find_case

    adapters = {adapter.name: adapter for adapter in environments.find_adapters()}
    for name, (_, plans) in gpu.PLANS.items():
        for plan in plans:
            assert find_case(name).architecture in adapters[plan.adapter].modes
        assert (
            find_case(gpu.TINY.get(name, "glow-tiny")).architecture == find_case(name).architecture
        )


@pytest.mark.parametrize(("seconds", "wanted"), [(0, 1), (1, 2), (1000, 5)])
def test_calls_end_with_their_seconds(benchmarks, monkeypatch, seconds, wanted):
    from benchmarks import worker

    clock = [0.0]

    def call():
        clock[0] += 0.6
        return clock[0]

    monkeypatch.setattr(worker.time, "perf_counter", lambda: clock[0])
    assert worker.repeat(call, 5, seconds) == (pytest.approx(0.6 * wanted), wanted)


def test_every_adapter_in_the_repository_is_read(benchmarks):
    environments, _, _ = benchmarks
    adapters = environments.find_adapters()
    assert [adapter.name for adapter in adapters[:2]] == ["tfflows_jax", "tfflows_tensorflow"]
    libraries = {
        architecture: {a.library for a in adapters if architecture in a.modes}
        for architecture in ("realnvp", "maf", "glow", "cnf")
    }
    tables = {"tfflows", "tfp", "normflows", "nflows", "zuko", "distrax", "flowjax"}
    assert libraries["cnf"] == {"tfflows", "tfp", "zuko", "torchdiffeq"}
    assert libraries["realnvp"] == tables
    assert libraries["maf"] == tables - {"distrax"}  # which has no such layer
    assert libraries["glow"] == {"tfflows", "tfp", "normflows", "nflows", "freia"}
    assert "XLA, in order" in adapters[1].modes["maf"]
    assert "XLA, in order" not in adapters[1].modes["realnvp"]
    first, *others = adapters[1].modes["cnf"]
    assert first == "XLA"  # at the tolerance of the others: what the verdicts are about
    assert {"XLA, 8 steps of RK4", "XLA, flow matching"} < set(others)
    with pytest.raises(ValueError, match=r"--libraries must be .* Received: \['pyro'\]"):
        environments.choose_adapters(adapters, ["pyro"], "realnvp")
    with pytest.raises(ValueError, match="No adapter builds 'unknown'"):
        environments.choose_adapters(adapters, [], "unknown")


def test_an_adapter_without_its_literals_is_refused(benchmarks, tmp_path):
    environments, _, _ = benchmarks
    path = tmp_path / "broken.py"
    wrong = [
        "MODES = ['a']\n",
        "REQUIREMENTS = []\nGROUP = 'jax'\nMODES = {'maf': ['a']}\ndef build_realnvp(): ...\n",
    ]
    for text in wrong:
        path.write_text(text)
        with pytest.raises(ValueError, match="An adapter requires REQUIREMENTS"):
            environments.read_adapter(path)


def test_a_run_reports_what_works_and_what_does_not(tmp_path):
    (tmp_path / "fake.py").write_text(FAKE_ADAPTER)
    out = tmp_path / "out"
    process = run("--case", "realnvp-tiny", "--adapters", tmp_path, "--out", out)
    assert process.returncode == 0, process.stderr
    results = json.loads((out / "results.json").read_text())
    (row,) = results["rows"]
    assert [len(row["times"][a]) for a in ("train", "log_prob", "sample")] == [2, 2, 2]
    assert "log_prob must give finite numbers of shape (16,)" in results["failures"]["fake, breaks"]
    assert "| fake | works | " in (out / "table.md").read_text()


@pytest.mark.slow
def test_tfflows_runs_by_its_adapter_and_is_drawn(tmp_path):
    """The test before has a whole run of an adapter that compiles nothing."""
    python = f"tfflows={sys.executable}"
    libraries = ["--libraries", "tfflows_tensorflow", "--modes", "XLA", "--python", python]
    process = run("--case", "realnvp-tiny", *libraries, "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(row["times"]) == {"train", "log_prob", "sample", "bare_train"}
    assert row["parameters"] == 2 * (2 * 8 + 8 + 8 * 8 + 8 + 8 * 4 + 4)
    assert row["peak_megabytes"] > 100
    assert (tmp_path / "times.png").stat().st_size > 1000


@pytest.mark.slow
def test_maf_runs_without_its_fast_inversion(tmp_path):
    libraries = ["--libraries", "tfflows_tensorflow", "--python", f"tfflows={sys.executable}"]
    process = run("--case", "maf-tiny", *libraries, "--modes", "XLA, in order", "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(row["times"]) == {"train", "log_prob", "sample"}
    assert row["parameters"] == 2 * (3 * 8 + 8 + 8 * 8 + 8)


@pytest.mark.slow
def test_glow_runs_on_images_and_is_described(tmp_path):
    libraries = ["--libraries", "tfflows_tensorflow", "--python", f"tfflows={sys.executable}"]
    process = run("--case", "glow-tiny", *libraries, "--modes", "graph", "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(row["times"]) == {"train", "log_prob", "sample", "bare_train"}
    levels = [  # ActNorm, the 1x1 convolution and its diagonal, the coupling's three convolutions
        2 * (2 * c + c**2 + c + (9 * c // 2 * 8 + 8) + (8 * 8 + 8) + (9 * 8 * c + 2 * c))
        for c in (4, 8)
    ]
    priors = (9 * 2 * 4 + 2 * 4) + 2 * 8
    assert row["parameters"] == sum(levels) + priors
    wanted = "2 levels of 2 layers, images of 8 x 8 x 1, hidden channels (8, 8), batch 4. Medians"
    assert (tmp_path / "table.md").read_text().startswith(f"Case glow-tiny: {wanted}")


@pytest.mark.slow
def test_image_models_run_and_are_described(tmp_path):
    libraries = ["--libraries", "tfflows_jax", "--python", f"tfflows={sys.executable}"]
    modes = ["--modes", "TarFlow, pixels, jit", "Jet, jit"]
    process = run("--case", "images-tiny", *libraries, *modes, "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    results = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["mode"] for row in results] == ["Jet, jit", "TarFlow, pixels, jit"]
    for row in results:
        assert set(row["times"]) == {"train", "log_prob", "sample", "bare_train"}
    assert "batch 4; Glow: depth 2, filters 8; " in (tmp_path / "table.md").read_text()


def test_image_models_have_about_the_parameters_of_normflows_glow(benchmarks):
    from benchmarks.cases import find_case

    import tfflows

    case, wanted = find_case("images-28"), 433_832  # normflows 1.7.3, told by its adapter
    for name, arguments in case.models.items():
        flow = getattr(tfflows.models, name.split(", ")[0])(
            case.image_shape, quantization_levels=None, **arguments
        )
        flow.build((None, *case.image_shape))
        count = sum(int(np.prod(v.shape)) for v in flow.trainable_variables)
        assert count == pytest.approx(wanted, rel=0.05), name


@pytest.mark.parametrize("name", ["images-28", "images-tiny"])
def test_image_models_are_the_modes_of_both_backends(benchmarks, name):
    from benchmarks.cases import find_case

    for adapter in benchmarks[0].find_adapters()[:2]:
        modes = [mode.rpartition(", ")[0] for mode in adapter.modes["images"]]
        assert modes == list(find_case(name).models)


def test_images_for_histograms_are_in_the_unit_interval(benchmarks):
    from benchmarks.cases import find_case

    images = find_case("images-28").data(2)
    assert images.shape == (128, 28, 28, 1)
    assert 0 < images.min() < 0.2
    assert 0.8 < images.max() < 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "XLA, flow matching"])
def test_a_continuous_flow_runs_by_solver_and_by_flow_matching(tmp_path, mode):
    libraries = ["--libraries", "tfflows_tensorflow", "--python", f"tfflows={sys.executable}"]
    process = run("--case", "cnf-tiny", *libraries, "--modes", mode, "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(row["times"]) == {"train", "log_prob", "sample", "bare_train"}
    assert row["parameters"] == (3 + 2) * 8 + (8 + 2) * 8 + (8 + 2) * 3  # time and bias: 2 more
    wanted = "Case cnf-tiny: 1 layer, 3 dimensions, hidden units (8, 8), batch 16. Medians"
    assert (tmp_path / "table.md").read_text().startswith(wanted)


@pytest.mark.slow
def test_couplings_run_by_reverse_kl(tmp_path):
    libraries = ["--libraries", "tfflows_tensorflow", "--python", f"tfflows={sys.executable}"]
    process = run("--case", "wells-tiny", *libraries, "--modes", "graph", "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert set(row["times"]) == {"train", "log_prob", "sample"}
    assert row["parameters"] == 2 * (2 * 8 + 8 + 8 * 4 + 4)


def torch_flow(flow, transform):
    """x -> latents and log-densities of a module with random weights."""
    import torch

    torch.manual_seed(0)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)

    @torch.no_grad()
    def tell(x):
        z, log_prob = transform(torch.from_numpy(x))
        return z.numpy(), log_prob.numpy()

    return tell


def zuko_flow(case):
    from benchmarks.adapters.zuko import make_cnf

    flow = make_cnf(case)
    return torch_flow(flow, lambda x: (flow().transform(x), flow().log_prob(x)))


def torchdiffeq_flow(case):
    from benchmarks.adapters.torchdiffeq import Flow

    flow = Flow(case)
    return torch_flow(flow, lambda x: (flow(x)[0], flow.log_prob(x)))


def tensorflow_probability_flow(case, weights=None):
    """x -> latents and log-densities, with random weights, or those of tfflows, whose field goes
    from data to latents, where TFP's goes back."""
    import tensorflow as tf
    import tensorflow_probability as tfp
    from benchmarks.adapters.tfp import layer_variables, make_cnf, make_ffjord

    rng = np.random.default_rng(0)
    layers_field, layers = make_cnf(case)
    for i, variable in enumerate(layer_variables(layers)):
        value = rng.normal(0, 0.5, variable.shape) if weights is None else weights[i]
        variable.assign(value)

    def field(time, state):
        return layers_field(time, state) if weights is None else -layers_field(1 - time, state)

    bijector = make_ffjord(field, case, exact=True)
    base = tfp.distributions.MultivariateNormalDiag(tf.zeros(case.dims))
    flow = tfp.distributions.TransformedDistribution(base, bijector)

    @tf.function
    def tell(x):
        return bijector.inverse(x), flow.log_prob(x)

    return lambda x: [np.asarray(part) for part in tell(tf.constant(x))]


@pytest.mark.parametrize("flow", [zuko_flow, torchdiffeq_flow, tensorflow_probability_flow])
def test_continuous_peers_tell_the_density_of_their_map(benchmarks, flow):
    pytest.importorskip(flow.__name__.removesuffix("_flow"))
    from benchmarks.cases import find_case

    case = find_case("cnf-tiny")
    x, step, tell = case.data(1), np.float32(0.02), flow(case)
    z, log_prob = tell(x)
    columns = [(tell(x + e)[0] - tell(x - e)[0]) / (2 * step) for e in step * np.eye(3, dtype="f")]
    _, log_det = np.linalg.slogdet(np.stack(columns, axis=-1))
    assert np.abs(log_det).max() > 0.2
    wanted = log_det - 0.5 * (z**2).sum(1) - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(log_prob, wanted, atol=5e-3)


@needs_tensorflow
def test_tfp_has_the_field_of_tfflows(benchmarks):
    pytest.importorskip("tensorflow_probability")
    from benchmarks.adapters._tfflows import make_cnf
    from benchmarks.cases import find_case

    case = find_case("cnf-tiny")
    flow, x, rng = make_cnf(case, "graph"), case.data(1), np.random.default_rng(0)
    flow.build((None, case.dims))
    for variable in flow.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    _, log_prob = tensorflow_probability_flow(case, flow.trainable_variables)(x)
    np.testing.assert_allclose(log_prob, flow.log_prob(x), atol=1e-3)


def test_images_of_a_case_are_smooth(benchmarks):
    from benchmarks.cases import find_case

    case = find_case("glow-28")
    images = case.data(2)
    assert images.shape == (128, 28, 28, 1)
    assert images.dtype == "float32"
    steps = abs(images[:, 1:] - images[:, :-1]).mean()
    assert 0 < steps < 0.5 * images.std()


def test_a_wrong_case_is_named(tmp_path):
    process = run("--case", "maf", "--out", tmp_path)
    assert process.returncode == 1
    assert "--case must be one of ['realnvp-43', 'realnvp-tiny', " in process.stderr
    assert "Received: maf\n" in process.stderr
