"""The examples of the guide on serving that need packages of others, where those are installed."""

import asyncio
import re

import numpy as np
import pytest
from layer_table import randomize
from marks import needs_tensorflow
from model_table import small_flow
from pages import blocks, written

from tfflows.utils.data_schema import DataSchema

pytestmark = needs_tensorflow


@pytest.fixture(scope="module")
def moons(tmp_path_factory):
    """A flow with names, and a folder with its SavedModel where the guide has it."""
    flow = randomize(small_flow(num_couplings=1))
    flow.data_schema = DataSchema(("a", "b"))
    folder = tmp_path_factory.mktemp("guide")
    flow.export(folder / "savedmodels" / "moons")
    return flow, folder


def run_example(package, folder, monkeypatch):
    """What the block that imports `package` names."""
    pytest.importorskip(package)
    found = [block.code for block in blocks(written()["docs/guides/serving.md"])]
    pattern = re.compile(rf"^(import|from) {package}\b", re.M)
    (code,) = [code for code in found if pattern.search(code)]
    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    exec(compile(code, package, "exec"), names)
    return names


def test_the_web_service_answers(moons, monkeypatch):
    httpx = pytest.importorskip("httpx")
    flow, folder = moons
    app = run_example("fastapi", folder, monkeypatch)["app"]

    def post(path, content):
        async def ask():
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.post(path, json=content)

        return asyncio.run(ask())

    x = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    answer = post("/log_prob", {"x": x.tolist()})
    np.testing.assert_allclose(answer.json()["log_prob"], flow.log_prob(x), rtol=1e-5)
    far = post("/log_prob", {"x": [[1e30, 1e30]]})
    assert far.json() == {"log_prob": [None]}
    for wrong in ({"x": [[1.0]]}, {"x": [[1.0, 2.0], [3.0]]}, {"x": "a"}, {}):
        assert post("/log_prob", wrong).status_code == 422
    answer = post("/sample", {"num_samples": 2, "seed": 7})
    np.testing.assert_allclose(answer.json()["x"], flow.sample(2, seed=7), atol=1e-5)
    assert post("/sample", {"num_samples": 10**9}).status_code == 422


def test_mlflow_scores_a_dataframe(moons, monkeypatch):
    pd = pytest.importorskip("pandas")
    flow, folder = moons
    names = run_example("mlflow", folder, monkeypatch)
    x = np.zeros((3, 2), "float32")
    np.testing.assert_allclose(names["scores"]["log_prob"], flow.log_prob(x), rtol=1e-5)
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    turned = pd.DataFrame({"b": x[:, 1], "a": x[:, 0]})
    scores = names["model"].predict(turned)["log_prob"]
    np.testing.assert_allclose(scores, flow.log_prob(x), rtol=1e-5)
