"""Numbers from the scores of all methods: one row per table, method and seed, and the means.

python -m scripts.anomaly_study.evaluate --scores FOLDER --out docs/results/anomaly-tables.csv
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from scripts.anomaly_study import tables


def rows(folder, names, methods=None, seeds=None):
    """AUROC and AUPRC of each file of scores."""
    found = []
    for name in names:
        for seed in range(5) if seeds is None else seeds:
            paths = sorted(folder.glob(f"{name}.*.{seed}.npz"))
            if not paths:
                continue
            split = tables.split(name, seed)
            for path in paths:
                method = path.name[len(name) + 1 : -len(f".{seed}.npz")]
                if methods and method not in methods:
                    continue
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
    scores = np.nan_to_num(np.clip(scores, -1e300, 1e300), nan=1e300)
    return {
        "auroc": round(roc_auc_score(labels, scores), 5),
        "auprc": round(average_precision_score(labels, scores, sample_weight=weights), 5),
    }


def means(results, against="nice"):
    """Per method: means over tables of seeds' means, rank, and the gain over NICE with its error."""
    per_table = results.groupby(["table", "method"])[["auroc", "auprc"]].mean().unstack()
    auroc, auprc = per_table["auroc"], per_table["auprc"]
    gain = auroc.sub(auroc[against], axis=0)
    return pd.DataFrame(
        {
            "tables": auroc.count(),
            "auroc": auroc.mean(),
            "auroc_se": auroc.std(ddof=1) / np.sqrt(auroc.count()),
            "auprc": auprc.mean(),
            "rank": auroc.rank(axis=1, ascending=False).mean(),
            "gain": gain.mean(),
            "gain_se": gain.std(ddof=1) / np.sqrt(gain.count()),
            "wins": (gain > 0).sum(),
        }
    ).sort_values("auroc", ascending=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--tables", nargs="+", default=tables.names())
    args = parser.parse_args()
    results = rows(args.scores, args.tables, args.methods, args.seeds)
    if args.out:
        results.to_csv(args.out, index=False)
    print(means(results).round(4).to_string())


if __name__ == "__main__":
    main()
