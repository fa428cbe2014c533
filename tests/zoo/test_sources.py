"""Where models come from: the wheel, the cache and servers, good and bad; and the commands."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
from command import run
from marks import needs_tensorflow
from zoo_files import ALL, log_prob, sign

from tfflows import zoo
from tfflows.zoo import download, sources
from tfflows.zoo.model_card import read_card

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no base and a wheel without models."""
    monkeypatch.setenv("TFFLOWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFFLOWS_ZOO", raising=False)
    monkeypatch.setattr(sources, "WHEEL", tmp_path / "wheel")
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def served(zoo_model, tmp_path):
    """A folder whose models are served, and the base that serves them."""
    folder = tmp_path / "served"
    shutil.copytree(zoo_model, folder / "realnvp-digits")
    handler = functools.partial(_Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = functools.cache(lambda: (server.shutdown(), server.server_close()))
    yield types.SimpleNamespace(
        folder=folder / "realnvp-digits", base=f"http://127.0.0.1:{server.server_port}", stop=stop
    )
    stop()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_wheel_comes_before_the_cache_and_a_path_before_both(zoo_model, tmp_path, cache):
    for place, name in ((sources.WHEEL, "a"), (cache / "base", "a"), (cache / "base", "b")):
        sign(shutil.copytree(zoo_model, place / name), name=name)
    shutil.copytree(zoo_model, sources.WHEEL / ".c.1.tmp")  # one that is being written
    (sources.WHEEL / "recipes").mkdir()
    assert zoo.list_models() == ["a", "b"]
    assert zoo.list_models("b*") == ["b"]
    assert zoo.find("a") == sources.WHEEL / "a"
    assert zoo.find("b") == cache / "base" / "b"
    assert zoo.find(zoo_model) == zoo_model
    shutil.copytree(zoo_model, cache / "other" / "b")
    with pytest.raises(ValueError, match="more than one model 'b'"):
        zoo.find("b")


def test_a_name_is_never_a_folder_here(zoo_model, tmp_path, monkeypatch):
    """`zoo pull glow-mnist` in a folder that came from elsewhere takes the wheel's."""
    here = tmp_path / "here"
    for place in (here / "a", here / "b", sources.WHEEL / "a"):
        sign(shutil.copytree(zoo_model, place), name=place.name)
    monkeypatch.chdir(here)
    assert zoo.find("a") == sources.WHEEL / "a"
    assert zoo.find("./a") == zoo.find(Path("a")) == Path("a")
    assert zoo.find("../here/a").resolve() == here / "a"
    with pytest.raises(
        FileNotFoundError, match=r"no model 'b' in the zoo; the folder here is \./b"
    ):
        zoo.find("b")
    for name in ("..", ".", "", "a b"):
        with pytest.raises(FileNotFoundError, match="There is no model"):
            zoo.find(name)
    sign(sources.WHEEL / "a", name="b")
    with pytest.raises(ValueError, match="is not a: its card is that of b"):
        zoo.find("a")


def test_unknown_names_show_the_nearest(zoo_model):
    shutil.copytree(zoo_model, sources.WHEEL / "realnvp-digits")
    with pytest.raises(FileNotFoundError, match=r"did you mean realnvp-digits\?; there are \['rea"):
        zoo.load("realnvp-digit")
    (sources.WHEEL / "realnvp-digits" / "card.json").unlink()
    with pytest.raises(ValueError, match=r"it has no card\.json"):
        zoo.load("realnvp-digits")


OUTSIDE = """
import sys
from tfflows import zoo
assert zoo.__file__.startswith(sys.argv[1]), zoo.__file__
assert zoo.list_models() == ["realnvp-digits"], zoo.list_models()
zoo.verify("realnvp-digits")
"""


@needs_tensorflow
def test_an_installed_package_carries_its_models(zoo_model, tmp_path):
    """What setuptools puts into a wheel, in a process outside the checkout."""
    source, built = tmp_path / "source", tmp_path / "built"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("tfflows", "zoo"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for path in [path for path in (source / "zoo").iterdir() if sources.is_model(path)]:
        shutil.rmtree(path)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "scripts/tfflows"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(zoo_model, source / "zoo" / zoo_model.name)
    build = [sys.executable, "-c", "from setuptools import setup; setup()", "-q", "build_py"]
    subprocess.run([*build, "--build-lib", built], cwd=source, check=True, capture_output=True)
    found = built / "tfflows" / "zoo" / "data" / zoo_model.name
    assert sorted(path.name for path in found.iterdir()) == sorted(ALL)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]){OUTSIDE}", built]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_url_is_checked_cached_and_then_loads_offline(served, zoo_model, cache, monkeypatch):
    url = f"{served.base}/realnvp-digits"
    flow = zoo.load(url)
    np.testing.assert_allclose(log_prob(flow), log_prob(zoo.load(zoo_model)), rtol=1e-6)
    served.stop()
    assert zoo.find(url).parent.parent == cache
    assert zoo.verify(url).metric is None
    assert zoo.find("realnvp-digits") == zoo.find(url)
    assert zoo.list_models() == ["realnvp-digits"]
    monkeypatch.setenv("TFFLOWS_ZOO", served.base + "/")
    assert zoo.find("realnvp-digits") == zoo.find(url)
    with pytest.raises(OSError, match="could not be downloaded"):
        zoo.load(f"{served.base}/other")


def test_a_name_is_looked_up_at_the_base(served, monkeypatch):
    monkeypatch.setenv("TFFLOWS_ZOO", served.base)
    assert zoo.card("realnvp-digits").name == "realnvp-digits"
    with pytest.raises(FileNotFoundError, match=f"did you mean .* and those at {served.base}"):
        zoo.load("realnvp-digit")


@pytest.mark.parametrize("name", ALL)
def test_a_url_that_serves_another_file_leaves_nothing(served, cache, name):
    whole = (served.folder / name).read_bytes()
    changed = whole[:-9] + whole[-9:].replace(whole[-9:-8], b"#")
    for content in (b"<html>Sign in</html>", changed, whole[:-10], b""):
        (served.folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"serves another file than was expected: .*{name}"):
            zoo.load(f"{served.base}/realnvp-digits")
        assert files_in(cache) == []
    (served.folder / name).unlink()
    with pytest.raises(OSError, match=f"There is no {served.base}/realnvp-digits/{name}"):
        zoo.load(f"{served.base}/realnvp-digits")
    assert files_in(cache) == []
    (served.folder / name).write_bytes(whole)
    zoo.load(f"{served.base}/realnvp-digits")


def test_a_server_cannot_give_another_whole_model(served, cache, monkeypatch):
    url, wanted = f"{served.base}/realnvp-digits", read_card(served.folder).sha256
    sign(served.folder, limitations="Another one.")
    with pytest.raises(ValueError, match=f"is another card. Expected: sha256 {wanted}"):
        zoo.load(f"{url}#sha256={wanted}")
    assert files_in(cache) == []
    zoo.load(f"{url}#sha256={read_card(served.folder).sha256}")
    with pytest.raises(ValueError, match="is another card"):  # of the cache, too
        zoo.load(f"realnvp-digits#sha256={wanted}")
    shutil.rmtree(cache)
    monkeypatch.setenv("TFFLOWS_ZOO", served.base)
    with pytest.raises(ValueError, match="is another card"):
        zoo.load(f"realnvp-digits#sha256={wanted}")
    assert files_in(cache) == []
    shutil.copytree(served.folder, served.folder.with_name("glow"))
    with pytest.raises(ValueError, match="the card of the model 'realnvp-digits'"):
        zoo.load(f"{served.base}/glow")


def test_a_cache_that_rotted_is_refused_and_says_what_to_do(served):
    url = f"{served.base}/realnvp-digits"
    weights = zoo.find(url) / "model.weights.h5"
    content = bytearray(weights.read_bytes())
    content[5000] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"Expected: sha256 .*Remove the folder"):
        zoo.load(url)
    shutil.rmtree(weights.parent)
    zoo.load(url)


def test_a_cache_on_a_full_disk_says_so_and_stays_as_it_was(served, cache, monkeypatch):
    whole = download._fetch

    def disk_full(base, name, file, folder, limit):
        if file != "model.weights.h5":
            return whole(base, name, file, folder, limit)
        (folder / file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_fetch", disk_full)
    url = f"{served.base}/realnvp-digits"
    with pytest.raises(OSError, match=r"realnvp-digits could not be downloaded to .*No space left"):
        zoo.load(url)
    assert files_in(cache) == []
    monkeypatch.setattr(download, "_fetch", whole)
    zoo.load(url)
    (cache / "file").write_text("")
    monkeypatch.setenv("TFFLOWS_CACHE", str(cache / "file"))  # where no folder can be made
    monkeypatch.setenv("TFFLOWS_ZOO", served.base)
    for reference in (url, "realnvp-digits"):
        with pytest.raises(OSError, match="could not be downloaded to"):
            zoo.load(reference)


@pytest.mark.parametrize("installed", [True, False])
def test_hugging_face_is_read_with_or_without_its_package(zoo_model, cache, monkeypatch, installed):
    asked = []

    def hf_hub_download(repo_id, filename):
        asked.append((repo_id, filename))
        return zoo_model / Path(filename).name

    def opened(url):
        asked.append(url)
        return (zoo_model / url.rpartition("/")[2]).open("rb")

    hub = types.SimpleNamespace(hf_hub_download=hf_hub_download) if installed else None
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr(download, "_open", opened)
    folder = zoo.find("hf://owner/repo/zoo/realnvp-digits")
    assert sorted(path.name for path in folder.iterdir()) == sorted(ALL)
    page = "https://huggingface.co/owner/repo/resolve/main/zoo/realnvp-digits/card.json"
    assert asked[0] == (("owner/repo", "zoo/realnvp-digits/card.json") if installed else page)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/zoo/model", "A URL of a model begins with one of .*Received: ftp"),
        ("file:///etc/model", "A URL of a model begins with one of"),
        ("https://host/zoo/..", "A URL of a model ends with its name"),
        ("https://host/zoo/a?b=c", "A URL of a model ends with its name"),
        ("hf://repo/model", "hf://owner/repo/name"),
    ],
)
def test_urls_that_name_no_model_are_refused(url, message):
    with pytest.raises(ValueError, match=message):
        zoo.load(url)


@pytest.mark.parametrize(
    "pin", ["#", "#sha256=", "#sha256", "#sha256=12", f"#md5={'0' * 64}", f"#sha256={'g' * 64}"]
)
@pytest.mark.parametrize("where", ["realnvp-digits", "./realnvp-digits", "https://host/realnvp"])
def test_a_pin_that_pins_nothing_is_refused(where, pin):
    with pytest.raises(ValueError, match=r"pinned by #sha256= and the 64 hex digits"):
        zoo.find(where + pin)


@needs_tensorflow
def test_the_commands(served, zoo_model, tmp_path):
    shutil.copytree(zoo_model, sources.WHEEL / "realnvp-digits")
    number = f"{read_card(zoo_model).metric.value:.3f} +- "
    assert number in run("zoo", "list")
    assert "no model 'glow*' here" in run("zoo", "list", "glow*")
    assert "**Limitations.** Two epochs." in run("zoo", "card", "realnvp-digits")
    assert '"limitations": "Two epochs."' in run("zoo", "card", zoo_model, "--json")
    assert "did you mean realnvp-digits" in " ".join(
        run("zoo", "card", "realnvp-digit", code=2).split()
    )
    pulled = run("zoo", "pull", f"{served.base}/realnvp-digits").split()[-1]
    assert read_card(Path(pulled)) == read_card(zoo_model)
    output = run("zoo", "verify", "--all", "--full")
    assert f"{read_card(zoo_model).metric.value:.4f} on the test set" in output
    assert "Give the models" in run("zoo", "verify", code=2)
    output = run("zoo", "evaluate", "realnvp-digits", "--split", "validation", "--draws", 2)
    assert "digits validation: log-likelihood" in output
    assert number in output


@needs_tensorflow
def test_verify_all_names_the_models_that_fail(zoo_model, tmp_path):
    assert "There is no model here" in run("zoo", "verify", "--all")
    for name in ("bad", "good"):
        sign(shutil.copytree(zoo_model, sources.WHEEL / name), name=name)
    (sources.WHEEL / "bad" / "model.weights.h5").write_bytes(b"short")
    output = run("zoo", "verify", "--all", code=1)
    assert "bad: FAILED:" in output
    assert "good: " in output
    assert "1 of 2 failed: bad" in output
    assert "bad                      cannot be used" in run("zoo", "list")


@needs_tensorflow
def test_every_command_takes_a_model_of_the_zoo(zoo_model, tmp_path):
    shutil.copytree(zoo_model, sources.WHEEL / "realnvp-digits")
    model = ("--model", "zoo:realnvp-digits")
    assert "digits test: log-likelihood" in run("evaluate", *model)
    assert "Wrote 2 samples" in run(
        "sample", *model, "--num", 2, "--label", 3, "--out", tmp_path / "x.npy"
    )
    run("export", *model, "--out", tmp_path / "served-model")
    assert (tmp_path / "served-model" / "1" / "saved_model.pb").exists()
    assert "RealNVP on (8, 8, 1)" in run("info", *model)
    rows = np.concatenate([np.zeros((4, 64)), np.eye(10)[:4]], axis=1)
    names = [f"x{i}" for i in range(64)] + [f"c{i}" for i in range(10)]
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", header=",".join(names), comments="")
    columns = ("--columns", ",".join(names[:64]), "--condition-columns", ",".join(names[64:]))
    files = ("--in", tmp_path / "rows.csv", "--out", tmp_path / "scores.csv")
    assert "4 rows" in run("score", *model, *files, *columns)
    assert "RealNVP on" in run("info", "--model", zoo_model)  # and a folder of one
    wrong = run("info", "--model", "zoo:realnvp-digit", code=2)
    assert "did you mean realnvp-digits" in " ".join(wrong.split())
    (sources.WHEEL / "realnvp-digits" / "README.md").write_text("another")
    assert "is not the file of the card" in run("info", *model, code=1)


@needs_tensorflow
def test_the_save_command_writes_a_model(zoo_run, tmp_path):
    facts = ("--licence", "CC BY 4.0", "--limitations", "Tiny.", "--published", 1.2)
    command = ("zoo", "save", zoo_run, tmp_path / "small-digits", *facts)
    assert "go together" in run(*command, code=2)
    run(*command, "--published-units", "bits/dim", "--published-source", "Somebody", "--draws", 2)
    card = read_card(tmp_path / "small-digits")
    assert (card.published.value, card.metric.num_draws) == (1.2, 2)
    assert (
        "2 draws of dequantization noise each"
        in (tmp_path / "small-digits" / "README.md").read_text()
    )
    zoo.verify(tmp_path / "small-digits", full=True)
