"""Column after column by classification trees, as synthpop does, with a density.

B. Nowok, G. Raab and C. Dibben 2016, "synthpop: bespoke creation of synthetic data in R",
https://doi.org/10.18637/jss.v074.i11.
"""

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from tfflows.tables.baselines.chow_liu_tree import Edge, Pairs, Parts
from tfflows.tables.baselines.marginals import fit_marginal

LEAF_SIZES = (10, 30, 100)
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
MAX_PARTS = 64


class CartColumns:
    """Each column by a tree on those before it, in the order of the data.

    A tree predicts the part (code, frequent number or range of numbers) that a cell lies in; its
    leaf has the frequencies of the parts, with a Dirichlet prior around the marginal, and within
    its part a cell has its marginal distribution. The least rows per leaf and the strength of the
    prior are chosen per column by the nll of validation rows. Categories enter one-hot.
    """

    def __init__(self, schema, train, validation, seed=0):
        self.schema = schema
        self.marginals = {c.name: fit_marginal(c, train[c.name]) for c in schema}
        rows = len(train[schema.names[0]].missing)
        count = int(np.clip(round(rows ** (1 / 3)), 4, MAX_PARTS))
        self.parts = {n: Parts.of(n, m, count) for n, m in self.marginals.items()}
        self.trees, self.edges = {}, {}
        inputs = {"train": self._features(train), "validation": self._features(validation)}
        for i, name in enumerate(schema.names[1:], 1):
            x = {split: np.hstack(parts[:i]) for split, parts in inputs.items()}
            codes = [self._codes(name, cells) for cells in (train, validation)]
            self.trees[name], self.edges[name] = self._fit(name, x, *codes, seed)

    def _codes(self, name, cells):
        return self.parts[name].codes(self.marginals[name], cells[name])

    def _features(self, cells):
        """One array `[n, features]` per column: places of numbers, one-hot codes."""
        features = []
        for column in self.schema:
            if column.kind in ("category", "boolean"):
                codes = np.where(cells[column.name].missing, -1, cells[column.name].values)
                one_hot = codes[:, None] == np.arange(column.num_codes)
                features.append(one_hot.astype("float32"))
            else:
                places = np.mean(self.marginals[column.name].interval(cells[column.name]), axis=0)
                features.append(places[:, None].astype("float32"))
        return features

    def _fit(self, name, x, train_codes, validation_codes, seed):
        child, best = self.parts[name], (-np.inf, None, None)
        for leaf_size in LEAF_SIZES:
            tree = DecisionTreeClassifier(
                criterion="log_loss", min_samples_leaf=leaf_size, random_state=seed
            ).fit(x["train"], train_codes)
            # Leaves are numbered by their nodes: the "parent" has a part per node.
            nodes = Parts("node", np.arange(tree.tree_.node_count + 1.0))
            leaves = tree.apply(x["train"])
            sizes = len(nodes.masses), len(child.masses)
            pairs = Pairs.of(leaves, train_codes, sizes)
            for strength in STRENGTHS:
                edge = Edge(nodes, child, pairs, strength)
                gain = edge.log_ratio(tree.apply(x["validation"]), validation_codes).mean()
                if gain > best[0]:
                    best = gain, tree, edge
        return best[1:]

    def log_prob(self, cells):
        """Log density of each row, in nats."""
        total = sum(m.log_prob(cells[name]) for name, m in self.marginals.items())
        features = self._features(cells)
        for i, name in enumerate(self.schema.names[1:], 1):
            leaves = self.trees[name].apply(np.hstack(features[:i]))
            total = total + self.edges[name].log_ratio(leaves, self._codes(name, cells))
        return total

    def sample(self, n, seed=0):
        """Cells of n rows."""
        rng = np.random.default_rng(seed)
        cells = {}
        blank = {c.name: self.marginals[c.name].quantile(rng.random(n)) for c in self.schema}
        for i, name in enumerate(self.schema.names):
            u = rng.random(n)
            if i:
                leaves = self.trees[name].apply(np.hstack(self._features(blank | cells)[:i]))
                part = self.edges[name].sample(leaves, rng)
                cuts = self.parts[name].cuts
                u = cuts[part] + np.diff(cuts)[part] * u
            cells[name] = self.marginals[name].quantile(u)
        return cells
