"""False alarms of the detectors of `scripts.anomaly_study.auto` on normal rows that they never saw.

    python -m scripts.anomaly_study.calibration --scores FOLDER --out docs/results/anomaly-calibration.csv

Given m calibration rows, k = floor(rate (m + 1)) and n new rows, conformal theory says that the
false alarms of a detector are Beta-binomial(n, k, m + 1 - k), fewer where scores are tied. A line
per table, over seeds, and the last over all: the rate, the share of detectors within the central 95 %
of that distribution, and at most its upper end. The p-value is Kolmogorov and Smirnov's,
of the p-values of one new row per detector.
"""  # noqa: E501

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy import stats

from scripts.anomaly_study import tables
from tfflows.anomaly import conformal

RATES = (0.01, 0.05, 0.1)
NUM_DRAWS = 4_000  # of the Beta-binomial


def detectors(folder: Path, names: list[str]) -> list[tuple]:
    """(table, calibration scores, scores of new normal rows) of each file of scores."""
    found = []
    for name in names:
        for path in sorted(folder.glob(f"{name}.auto.*.npz")):
            split = tables.split(name, int(path.name.split(".")[-2]))
            with np.load(path) as arrays:
                found.append((name, arrays["calibration"], arrays["test"][split.labels == 0]))
    return found


def summary(parts: list[tuple]) -> dict[str, str]:
    """The numbers of some detectors."""
    line, random = {"detectors": str(len(parts))}, np.random.default_rng(0)
    for rate in RATES:
        alarms, expected, variance, inside, below, total = 0, 0.0, 0.0, [], [], 0
        for _, calibration, new in parts:
            m, n = len(calibration), len(new)
            k = int(np.floor(rate * (m + 1) + 1e-9))
            if k == 0:
                continue
            count = int((conformal.p_values(calibration, new) <= rate).sum())
            draws = random.binomial(n, random.beta(k, m + 1 - k, NUM_DRAWS))
            low, high = np.quantile(draws, [0.025, 0.975])
            inside.append(low <= count <= high)
            below.append(count <= high)
            alarms, total = alarms + count / n, total + 1
            expected, variance = expected + k / (m + 1), variance + draws.var() / n**2
        name = f"{rate:.0%}"
        if not total:
            line |= dict.fromkeys((f"rate at {name}", f"within at {name}"), "")
            continue
        line[f"rate at {name}"] = f"{alarms / total:.4f}"
        line[f"expected at {name}"] = f"{expected / total:.4f} +- {variance**0.5 / total:.4f}"
        line[f"within at {name}"] = f"{np.mean(inside):.2f}"
        line[f"not above at {name}"] = f"{np.mean(below):.2f}"
    return line


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = detectors(args.scores, tables.names())
    names = list(dict.fromkeys(name for name, *_ in found))
    lines = [{"table": name, **summary([p for p in found if p[0] == name])} for name in names]
    lines.append({"table": f"all {len(names)}", **summary(found)})
    random = np.random.default_rng(0)
    single = []
    for _, calibration, new in found:  # randomised where scores are tied
        score, m = random.choice(new), len(calibration)
        above, tied = (calibration > score).sum(), (calibration == score).sum()
        single.append((above + random.random() * (tied + 1)) / (m + 1))
    result = stats.kstest(single, "uniform")
    print(f"p-values of {len(single)} new rows: KS {result.statistic:.4f}, p {result.pvalue:.3f}")
    if args.out:
        with args.out.open("w", newline="") as file:
            headings = list(dict.fromkeys(key for line in lines for key in line))
            writer = csv.DictWriter(file, headings, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
