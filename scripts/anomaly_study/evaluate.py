"""Numbers from the scores of all methods: one row per table, method and seed, and the means.

python -m scripts.anomaly_study.evaluate --scores FOLDER --out docs/results
"""

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from scripts.anomaly_study import tables

# Of those that run in two scales the one with the better mean.
METHODS = {
    "auto": "`AnomalyDetector()`",
    "nearest-0-0": "its nearest row by itself",
    "nice": "NICE, 10 couplings",
    "knn-standard": "kNN",
    "lof-standard": "LOF",
    "iforest": "isolation forest",
    "pca": "PCA",
    "ecod": "ECOD",
    "deepsvdd-standard": "DeepSVDD",
}


def rows(folder, names, methods=None, seeds=None):
    """AUROC and AUPRC of each file; `METHOD-C-A` had a share C of anomalies in training."""
    found = []
    for name in names:
        for seed in range(5) if seeds is None else seeds:
            paths = sorted(folder.glob(f"{name}.*.{seed}.npz"))
            if not paths:
                continue
            for path in paths:
                method = path.name[len(name) + 1 : -len(f".{seed}.npz")]
                if methods and method not in methods:
                    continue
                dirty = re.fullmatch(r"\w+-([\d.]+)-[\d.]+", method)
                split = tables.split(name, seed, contamination=float(dirty[1]) if dirty else 0.0)
                with np.load(path) as arrays:
                    scores, seconds = arrays["test"], float(arrays["seconds"])
                found.append(
                    {
                        "table": name,
                        "method": method,
                        "seed": seed,
                        **measures(split.labels, scores, split.weights),
                        "seconds": round(seconds, 1),
                    }
                )
    return pd.DataFrame(found)


def measures(labels, scores, weights):
    """AUROC and AUPRC; a score that is NaN or infinite counts as the largest."""
    scores = np.nan_to_num(np.clip(np.asarray(scores, "float64"), -1e300, 1e300), nan=1e300)
    return {
        "auroc": round(roc_auc_score(labels, scores), 5),
        "auprc": round(average_precision_score(labels, scores, sample_weight=weights), 5),
    }


def means(results, against="nice"):
    """Per method, over the tables that all of them have, of seeds' means.

    The rank is among the methods that are given; the gain is over one of them, with the standard
    error of the mean over tables.
    """
    per_table = results.groupby(["table", "method"])[["auroc", "auprc"]].mean().unstack().dropna()
    auroc, auprc = per_table["auroc"], per_table["auprc"]
    gain = auroc.sub(auroc[against], axis=0)
    count = len(auroc)
    seeds = results[results.table.isin(auroc.index)].groupby(["table", "method"]).size()
    return pd.DataFrame(
        {
            "auroc": auroc.mean(),
            "auprc": auprc.mean(),
            "rank": auroc.rank(axis=1, ascending=False).mean(),
            "gain": gain.mean(),
            "gain_se": gain.std(ddof=1) / np.sqrt(count),
            "wins": (gain > 0).sum(),
            "tables": count,
            "seeds": seeds.groupby("method").min(),
        }
    ).sort_values("auroc", ascending=False)


def written(summary):
    """Means as the page has them."""
    return pd.DataFrame(
        {
            "method": [METHODS.get(name, name) for name in summary.index],
            "AUROC": summary["auroc"].map("{:.4f}".format),
            "AUPRC": summary["auprc"].map("{:.4f}".format),
            "rank": summary["rank"].map("{:.2f}".format),
            "AUROC above NICE": [
                f"{gain:+.4f} +- {error:.4f}"
                for gain, error in zip(summary["gain"], summary["gain_se"], strict=True)
            ],
            "tables above NICE": [
                f"{wins} of {count}"
                for wins, count in zip(summary["wins"], summary["tables"], strict=True)
            ],
            "seeds": summary["seeds"],
        }
    )


def write(results, folder):
    """The three tables of docs/results/anomaly-tables.md."""
    results = results[results.method.isin(METHODS)]
    held_back = ~results.table.isin(tables.design_names())
    for name, part in (("all", results), ("confirmation", results[held_back])):
        written(means(part)).to_csv(folder / f"anomaly-tables-{name}.csv", index=False)
    wide = results.pivot_table(index="table", columns="method", values="auroc")
    wide = wide[[name for name in METHODS if name in wide]].rename(columns=METHODS)
    wide.map("{:.3f}".format).reset_index().to_csv(folder / "anomaly-tables-each.csv", index=False)


def main():
    """Print the means, and write the tables of the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="folder of the tables of the page")
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--tables", nargs="+", default=tables.names())
    args = parser.parse_args()
    results = rows(args.scores, args.tables, args.methods, args.seeds)
    if args.out:
        write(results, args.out)
    pd.set_option("display.width", 200)
    print(means(results).round(4).to_string())


if __name__ == "__main__":
    main()
