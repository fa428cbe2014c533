"""The report of a table flow: its numbers against other ways to them, and its page."""

import base64
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tfflows import tables
from tfflows.tables import report_numbers, report_page
from tfflows.tables.associations import associations
from tfflows.tables.columns import Cells
from tfflows.tables.report_numbers import marginal_distance
from tfflows.tables.two_sample import two_sample_auc
from tfflows.tables.unlikely import log_conditionals, unlikely_rows

SCHEMA = tables.Schema(
    [
        tables.Real("x", atoms=(0.0,), missing=True),
        tables.Positive("income <$>"),
        tables.Integer("k", low=0),
        tables.Datetime("day"),
        tables.Ordinal("size", ("S", "M", "L")),
        tables.Category("place", tuple(f"town {i}" for i in range(12)), missing=True, other=True),
        tables.Boolean("b", ("no", "yes")),
    ]
)


def frame(count, seed=0):
    random = np.random.default_rng(seed)
    x = np.where(random.random(count) < 0.4, 0.0, random.normal(size=count))
    x[random.random(count) < 0.1] = np.nan
    b = random.random(count) < 0.3
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, count), "D")
    place = np.array([f"town {i}" for i in range(12)], object)[random.poisson(2, count) % 12]
    place[::20] = None
    place[1::50] = "elsewhere"
    return pd.DataFrame(
        {
            "x": x,
            "income <$>": random.lognormal(0, 3, count),
            "k": random.poisson(3 + 4 * b),
            "day": day,
            "size": random.choice(["S", "M", "L"], count),
            "place": place,
            "b": np.where(b, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def flow():
    """A flow whose columns depend on each other."""
    flow = tables.TableFlow(SCHEMA, width=16, num_blocks=1, num_components=3)
    flow.adapt(frame(400))
    random = np.random.default_rng(3)
    for weight in flow.trainable_weights:
        weight.assign_add(0.2 * random.normal(size=weight.shape).astype("float32"))
    return flow


@pytest.fixture(scope="module")
def written(flow, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "page.html"
    report = tables.write_report(
        flow, frame(400), frame(60, seed=1), path, title="<people>.csv",
        epochs=[(1, 9.0, 8.5), (2, 8.0, 8.2)], facts={"training": "0.1 minutes", "seed": 7},
    )  # fmt: skip
    return report, path.read_text("utf-8")


def test_the_flow_stands_beside_the_baselines_on_the_same_rows(flow, written):
    report, _ = written
    test = frame(60, seed=1)
    log_prob = flow.log_prob(test).astype("float64")
    score = report.scores[0]
    assert score.nll == pytest.approx(-log_prob.mean(), abs=1e-5)
    assert score.standard_error == pytest.approx(log_prob.std() / 60**0.5)
    cells = SCHEMA.parse(frame(400))
    independent = tables.baselines.IndependentColumns.fit(SCHEMA, cells)
    expected = independent.log_prob(SCHEMA.parse(test))
    found = {s.name: s for s in report.scores}["independent columns"]
    assert found.nll == pytest.approx(-expected.mean())
    assert found.behind[0] == pytest.approx((log_prob - expected).mean(), abs=1e-5)
    nlls = [s.nll for s in report.scores[1:]]
    assert len(nlls) == 3
    assert nlls == sorted(nlls)
    assert f"{score.nll:.4f} nats per row on 60 rows" in str(report)


def test_baselines_of_all_pairs_are_left_out_of_wide_tables(flow, tmp_path, monkeypatch):
    for module in (report_numbers, report_page):
        monkeypatch.setattr(module, "MAX_PAIRED_COLUMNS", len(SCHEMA) - 1)
    path = tmp_path / "wide.html"
    report = tables.write_report(flow, frame(400), frame(20, seed=1), path)
    assert [score.name for score in report.scores] == ["TableFlow", "independent columns"]
    assert f"are fitted up to {len(SCHEMA) - 1} columns" in path.read_text("utf-8")


def test_the_page_holds_all_of_itself(written):
    report, page = written
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|url\(|@import", page)
    assert set(re.findall(r'(?:src|href)="(\w+:[\w/+]*)', page)) == {"data:image/svg+xml"}
    pictures = re.findall(r'base64,([^"]+)"', page)
    assert len(pictures) == 1 + len(SCHEMA) + 2
    for picture in pictures:
        svg = base64.b64decode(picture).decode()
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert set(re.findall(r"https?://([^/\"]+)", svg)) <= {"www.w3.org"}
    assert "<h1>&lt;people&gt;.csv</h1>" in page
    assert "income &lt;$&gt;" in page
    assert "income <$>" not in page
    for heading in ("Held-out likelihood", "Training", "Each column", "Pairs", "Schema"):
        assert f"<h2>{heading}" in page
    for row in report.unlikely:
        assert f'<td class="number">{row.row}</td>' in page


def test_the_page_is_well_formed(written):
    from html.parser import HTMLParser

    open_tags, void = [], {"meta", "img"}

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            open_tags.extend([tag] if tag not in void else [])

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Parser().feed(written[1])
    assert open_tags == []


def test_the_least_likely_rows_name_their_odd_cells(flow, written):
    report, _ = written
    log_prob = flow.log_prob(frame(60, seed=1))
    lowest = np.argsort(log_prob)[:10]
    assert [row.row for row in report.unlikely] == lowest.tolist()
    row = frame(60, seed=1).iloc[lowest[:1]]
    for place, name in enumerate(SCHEMA.names):
        others = [other for other in SCHEMA.names if other != name]
        expected = flow.log_prob(row, given=others)[0]
        assert report.unlikely[0].conditionals[place] == pytest.approx(expected, abs=2e-4)
    odd = frame(61, seed=1)
    odd.loc[60, "k"] = 5000
    cells = SCHEMA.parse(odd)
    (found,) = unlikely_rows(flow, cells, flow.log_prob(odd), count=1)
    assert found.row == 60
    assert SCHEMA.names[int(np.argmax(found.surprises))] == "k"
    assert found.cells[2] == "5000"


def test_conditionals_of_one_order_sum_to_the_density():
    names = ["b", "k", "size"]
    schema = tables.Schema([SCHEMA[name] for name in names])
    flow = tables.TableFlow(schema, width=8, num_blocks=1, order=["k", "size", "b"])
    flow.adapt(frame(100))
    terms = log_conditionals(flow, flow.fitted_encoder.encode(schema.parse(frame(20))))
    np.testing.assert_allclose(terms.sum(axis=1), flow.log_prob(frame(20)), rtol=1e-5)
    given = flow.log_prob(frame(20), given=["k", "size"])
    np.testing.assert_allclose(terms[:, 0], given, atol=1e-5)


def test_associations_are_those_of_scipy():
    data = frame(500).assign(x=lambda f: f["x"].fillna(1.0), place=lambda f: f["place"].fillna("-"))
    data["y"] = data["x"] * 2 + data["k"]
    schema = tables.Schema.infer(data, place="category")
    found = associations(schema.columns, schema.parse(data))
    place = {name: i for i, name in enumerate(schema.names)}
    pearson = stats.pearsonr(data["y"], data["k"]).statistic
    assert found[place["y"], place["k"]] == pytest.approx(pearson)
    groups = [group["k"].to_numpy() for _, group in data.groupby("b")]
    test = stats.f_oneway(*groups)
    # F is eta^2 / (groups - 1) over (1 - eta^2) / (rows - groups).
    eta = test.statistic / (test.statistic + 498)
    assert found[place["k"], place["b"]] == pytest.approx(np.sqrt(eta))
    table = pd.crosstab(data["place"], data["b"])
    phi = stats.chi2_contingency(table, correction=False).statistic / 500
    corrected = max(0, phi - (len(table) - 1) / 499)
    expected = np.sqrt(corrected / (2 - 1 / 499 - 1))
    assert found[place["place"], place["b"]] == pytest.approx(expected)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()


def test_a_category_that_says_another_has_one():
    schema = tables.Schema([SCHEMA["b"], tables.Category("c", ("n", "y")), tables.Real("x")])
    b = np.array(["no", "yes"] * 50)
    cells = schema.parse({"b": b, "c": np.char.add(b, "").astype("U1"), "x": (b == "no") * 1.0})
    np.testing.assert_allclose(associations(schema.columns, cells), 1, atol=0.01)


def test_trees_tell_other_rows_and_not_the_same_ones():
    rows, same, other = (SCHEMA.parse(frame(400, seed)) for seed in (1, 2, 3))
    assert abs(two_sample_auc(SCHEMA, rows, same) - 0.5) < 0.06
    shuffled = {**other, "k": Cells(np.roll(other["k"].values, 1), other["k"].missing)}
    assert two_sample_auc(SCHEMA, rows, shuffled) > 0.6


def test_distances_of_marginals():
    rows, samples = (SCHEMA.parse(frame(300, seed)) for seed in (1, 2))
    column = SCHEMA["k"]
    expected = stats.ks_2samp(rows["k"].values, samples["k"].values).statistic
    assert marginal_distance(column, rows["k"], samples["k"]) == pytest.approx(expected)
    yes = [cells["b"].values.mean() for cells in (rows, samples)]
    found = marginal_distance(SCHEMA["b"], rows["b"], samples["b"])
    assert found == pytest.approx(abs(yes[0] - yes[1]))
    gone = Cells(np.zeros(300), np.ones(300, bool))
    there = Cells(np.zeros(300), np.zeros(300, bool))
    assert marginal_distance(SCHEMA["x"], gone, there) == 1


def test_what_cannot_be_reported_is_refused(flow, tmp_path):
    with pytest.raises(ValueError, match=r"an .html file. Received: .*x.pdf"):
        tables.write_report(flow, frame(20), frame(20), tmp_path / "x.pdf")
    with pytest.raises(ValueError, match="Expected rows to report on"):
        tables.write_report(flow, frame(20), frame(20)[:0], tmp_path / "x.html")
