"""SavedModels in software that is not ours: a short form of scripts/check_serving.py."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from marks import needs_tensorflow

pytestmark = needs_tensorflow
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_serving  # noqa: E402
from serving_software import SOFTWARE, Refused, is_installed  # noqa: E402

# Couplings with a condition; pixels, whose noise is a hash; loops compiled by XLA.
TRIED = {
    "saved_model_cli": ["RealNVP with a condition"],
    "OpenVINO": ["RealNVP with a condition", "NICE, pixels"],
    "tf2onnx + onnxruntime": ["RealNVP with a condition", "NICE, pixels"],
    "LiteRT": ["RealNVP with a condition", "NICE, pixels", "MAF"],
}


# Starts TensorFlow for each signature, five seconds; test_export.py has a process with TensorFlow
# only, which serves all signatures of many models.
SLOW = ("saved_model_cli",)


def tried():
    for software, families in TRIED.items():
        for family in families:
            slow = [pytest.mark.slow] * (software in SLOW)
            yield pytest.param(software, family, marks=slow)


@pytest.mark.parametrize(("software", "family"), list(tried()))
def test_it_gives_what_the_live_model_gives(software, family, tmp_path):
    if not is_installed(software):
        pytest.skip(f"{software} is not installed: pip install 'tfflows[serving]'")
    flow = check_serving.small_model(family)
    folder = flow.export(tmp_path / "1")
    answers = check_serving.expected_answers(flow)
    found = check_serving.check_software(software, folder, answers, flow.is_discrete)
    assert check_serving.cell(found).startswith("yes"), found


def test_a_refusal_is_told_from_a_wrong_number(monkeypatch):
    x = {"x": np.asarray([[1.0, 200.0]])}
    assert check_serving.difference(x, x) == 0
    assert check_serving.difference({"x": x["x"] + 1}, x) == 1 / 200
    assert check_serving.difference({"x": x["x"] * np.nan}, x) == np.inf
    assert check_serving.difference({"z": x["x"]}, x) == np.inf
    pixels = {"x": np.zeros((8, 100))}
    rounded = {"x": pixels["x"] + (np.arange(100) == 7) * (np.arange(8) == 3)[:, None]}
    assert check_serving.difference(rounded, pixels, is_discrete=True) == 0
    assert check_serving.difference({"x": pixels["x"] + 1}, pixels, is_discrete=True) == 1

    def run(folder, signature, inputs):
        if signature == "decode":
            raise Refused("lacks MatrixTriangularSolve")
        return {"log_prob": np.ones(2)}

    monkeypatch.setitem(SOFTWARE, "OpenVINO", (run, "openvino"))
    answers = {"log_prob": ({}, {"log_prob": np.zeros(2)}), "decode": ({}, {})}
    found = check_serving.check_software("OpenVINO", Path("."), answers, False)
    text = check_serving.cell(found)
    assert text == "log_prob DIFFERS by 1e+00; decode no: lacks MatrixTriangularSolve"


def test_the_page_has_a_table_of_every_family():
    text = (ROOT / "docs" / "results" / "serving.md").read_text()
    table = text.partition(check_serving.BEGIN)[2].partition(check_serving.END)[0]
    assert re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE) == list(check_serving.FAMILIES)
    assert "DIFFERS" not in table
    assert check_serving.with_table(text, table) == text
    with pytest.raises(ValueError, match="once each"):
        check_serving.with_table("# tfflows", table)
