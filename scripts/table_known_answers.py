"""Table flows on data whose densities are known; one line of JSON per part.

    python scripts/table_known_answers.py shuffling summation mixed gaussian mixture [--minutes 8]
    python scripts/table_known_answers.py mixed --settings '{"width": 128}'  # of tables.fit

shuffling   16 items, each row a permutation: the entropy is log2(16!) / 16 = 2.766 bits a variable
summation   16 numbers from 1 to 16 that sum to 42: log2 C(41, 15) / 16 = 2.243 bits a variable
mixed       3 reals, 2 whole numbers, 2 categories of a known joint: the nll over the entropy, nats
gaussian    6 correlated normals with 10, 30 and 50 % of cells removed: KL of their conditionals
mixture     4 columns of a mixture of three normals, likewise
"""

import argparse
import json
import math
import time

import numpy as np
import pandas as pd
from scipy import special, stats

from tfflows import tables


def shuffling(seed, **settings):
    """Rows that are permutations of 16 items."""
    random = np.random.default_rng(seed)
    columns = [f"item{i}" for i in range(16)]
    train = pd.DataFrame(
        random.permuted(np.tile(np.arange(16), (200_000, 1)), axis=1), columns=columns
    )
    test = pd.DataFrame(
        random.permuted(np.tile(np.arange(16), (10_000, 1)), axis=1), columns=columns
    )
    schema = tables.Schema([tables.Category(name, tuple(range(16))) for name in columns])
    return _bits(schema, train, test, seed, settings) | {
        "optimum": math.lgamma(17) / math.log(2) / 16
    }


def _compositions(random, count):
    """Rows of 16 numbers from 1 that sum to 42, all equally likely: gaps between 15 chosen cuts."""
    cuts = np.argsort(random.random((count, 41)), axis=1)[:, :15]
    ends = np.sort(np.concatenate([cuts + 1, np.tile([0, 42], (count, 1))], axis=1), axis=1)
    parts = np.diff(ends, axis=1)
    return parts[parts.max(axis=1) <= 16]


def summation(seed, **settings):
    """Rows of 16 numbers that sum to 42."""
    random = np.random.default_rng(seed)
    columns = [f"term{i}" for i in range(16)]
    train = pd.DataFrame(_compositions(random, 200_000), columns=columns)
    test = pd.DataFrame(_compositions(random, 10_000), columns=columns)
    schema = tables.Schema([tables.Ordinal(name, tuple(range(1, 17))) for name in columns])
    return _bits(schema, train, test, seed, settings) | {
        "optimum": math.log2(math.comb(41, 15)) / 16
    }


def _bits(schema, train, test, seed, settings):
    flow = tables.fit(train, schema, seed=seed, verbose=2, **settings)
    bits = -flow.log_prob(test) / math.log(2) / len(schema)
    samples = flow.sample(10_000, seed=0).to_numpy(dtype=int)
    valid = np.mean([(np.sort(samples, 1) == np.arange(16)).all(1), samples.sum(1) == 42], axis=1)
    return {
        "bits": float(bits.mean()),
        "standard_error": float(bits.std() / len(bits) ** 0.5),
        "valid_samples": float(valid.max()),
    }


class Mixed:
    """c -> r -> n -> s -> d -> m, and t; each given those before it."""

    def draw(self, random, count):
        c = random.choice(3, count, p=[0.5, 0.3, 0.2])
        r = random.normal(np.array([-2.0, 0, 3])[c], np.array([0.5, 1, 2])[c])
        n = random.poisson(np.exp(0.3 * r + 1))
        s = random.normal(np.sin(2 * r) + 0.3 * n, 0.5)
        d = (random.random(count) < special.expit(2 * s - n)).astype(int)
        m = random.geometric(np.array([0.2, 0.6])[d])
        bump = random.random(count) < 0.3
        t = np.exp(random.normal(np.where(bump, s, -s / 2), np.where(bump, 0.2, 0.8)))
        columns = {"c": np.array(["a", "b", "c"])[c], "r": r, "n": n, "s": s}
        return pd.DataFrame({**columns, "d": np.array(["no", "yes"])[d], "m": m, "t": t})

    def log_prob(self, frame):
        c = frame["c"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
        d = (frame["d"] == "yes").to_numpy().astype(int)
        r, n, s, m, t = (frame[name].to_numpy() for name in "rnsmt")
        total = np.log(np.array([0.5, 0.3, 0.2])[c])
        total = total + stats.norm.logpdf(r, np.array([-2.0, 0, 3])[c], np.array([0.5, 1, 2])[c])
        total = total + stats.poisson.logpmf(n, np.exp(0.3 * r + 1))
        total = total + stats.norm.logpdf(s, np.sin(2 * r) + 0.3 * n, 0.5)
        total = total + stats.bernoulli.logpmf(d, special.expit(2 * s - n))
        total = total + stats.geom.logpmf(m, np.array([0.2, 0.6])[d])
        bumps = np.stack(
            [stats.norm.logpdf(np.log(t), s, 0.2), stats.norm.logpdf(np.log(t), -s / 2, 0.8)]
        )
        return total - np.log(t) + special.logsumexp(bumps + np.log([[0.3], [0.7]]), axis=0)


SCHEMA_OF_MIXED = tables.Schema(
    [
        tables.Category("c", ("a", "b", "c")),
        tables.Real("r"),
        tables.Integer("n", low=0),
        tables.Real("s"),
        tables.Boolean("d", ("no", "yes")),
        tables.Integer("m", low=1),
        tables.Positive("t"),
    ]
)


def mixed(seed, **settings):
    """The known joint of three reals, two counts and two categories."""
    random, joint = np.random.default_rng(seed), Mixed()
    train, test = joint.draw(random, 200_000), joint.draw(random, 20_000)
    flow = tables.fit(train, SCHEMA_OF_MIXED, seed=seed, verbose=2, **settings)
    truth = joint.log_prob(test)
    results = {"entropy": float(-truth.mean())}
    for orders in (1, 8) if flow.order == "random" else (1,):
        gap = truth - flow.log_prob(test, num_orders=orders)
        results[f"gap_{orders}_orders"] = float(gap.mean())
        results[f"standard_error_{orders}"] = float(gap.std() / len(gap) ** 0.5)
    start = time.monotonic()
    samples = flow.sample(1_000_000, seed=1, batch_size=16_384)
    outside = (samples["n"] < 0) | (samples["m"] < 1) | ~(samples["t"] > 0)
    outside |= ~samples["c"].isin(["a", "b", "c"]) | ~samples["d"].isin(["no", "yes"])
    outside |= ~np.isfinite(samples[["r", "s", "t"]]).all(axis=1)
    seconds = time.monotonic() - start
    return results | {"samples_outside": int(outside.sum()), "seconds_of_1M_samples": seconds}


def _holes(means, covariances, weights, seed, settings):
    """KL in nats a cell between exact conditionals of a mixture of normals and the flow's."""
    random = np.random.default_rng(seed)
    dims = means.shape[1]
    names = [f"x{i}" for i in range(dims)]

    def draw(count):
        parts = random.choice(len(weights), count, p=weights)
        noise = np.stack(
            [random.multivariate_normal(np.zeros(dims), c, count) for c in covariances]
        )
        return means[parts] + noise[parts, np.arange(count)]

    train, test = draw(200_000), draw(5_000)
    schema = tables.Schema([tables.Real(name) for name in names])
    frame = pd.DataFrame(train, columns=names)
    flow = tables.fit(frame, schema, seed=seed, verbose=2, **settings)

    def log_density(x, kept):
        if not kept.any():
            return 0.0
        terms = [
            math.log(w) + stats.multivariate_normal.logpdf(x[kept], m[kept], c[np.ix_(kept, kept)])
            for w, m, c in zip(weights, means, covariances, strict=True)
        ]
        return special.logsumexp(terms)

    results = {}
    for percent in (10, 30, 50):
        given = random.random(test.shape) >= percent / 100
        everything = np.ones(dims, bool)
        exact = np.array(
            [
                log_density(x, everything) - log_density(x, g)
                for x, g in zip(test, given, strict=True)
            ]
        )
        for orders in (1, 8):
            model = flow.log_prob_of_cells(pd.DataFrame(test, columns=names), given, orders)
            gap, cells = exact - model, (~given).sum()
            results[f"kl_{percent}_{orders}_orders"] = float(gap.sum() / cells)
            results[f"standard_error_{percent}_{orders}"] = float(
                gap.std() * len(gap) ** 0.5 / cells
            )
    return results


def gaussian(seed, **settings):
    """Holes in rows of six correlated normals."""
    factor = np.random.default_rng(7).normal(size=(6, 6))
    return _holes(
        np.zeros((1, 6)), [factor @ factor.T / 6 + 0.1 * np.eye(6)], [1.0], seed, settings
    )


def mixture(seed, **settings):
    """Holes in rows of a mixture of three normals."""
    random = np.random.default_rng(8)
    factors = random.normal(size=(3, 4, 4))
    covariances = [f @ f.T / 4 + 0.1 * np.eye(4) for f in factors]
    return _holes(3 * random.normal(size=(3, 4)), covariances, [0.5, 0.3, 0.2], seed, settings)


PARTS = {f.__name__: f for f in (shuffling, summation, mixed, gaussian, mixture)}


def main():
    """Print a line of JSON per part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--minutes", type=float, help="of training, each part")
    parser.add_argument("--settings", type=json.loads, default={}, help="of tables.fit, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for part in arguments.parts:
        start = time.monotonic()
        settings = {"max_minutes": arguments.minutes, **arguments.settings}
        results = PARTS[part](arguments.seed, **settings)
        results |= {
            "part": part,
            "settings": settings,
            "seed": arguments.seed,
            "minutes": (time.monotonic() - start) / 60,
        }
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()
