"""Scores of several models of one kind of rows: a ratio to a background, an ensemble."""

from collections.abc import Sequence

from keras import ops

from tfflows.anomaly.densities import Model, log_density
from tfflows.anomaly.scores import Score, check_members


class LikelihoodRatio(Score):
    """log p(x) of a background less that of the model (Ren et al. 2019, equation 3).

    (https://arxiv.org/abs/1906.02845.) The background was trained on perturbed or broader data, and
    has what is common to all: what is left is what the normal rows have of their own.

    Args:
        model: of normal rows.
        background: another one over the same events.
    """

    def __init__(self, model: Model, background: Model):
        super().__init__(model)
        check_members([model, background], "a background")
        self.background = background

    @property
    def models(self):
        return [self.model, self.background]

    def compute(self, *inputs):
        return log_density(self.background, *inputs) - log_density(self.model, *inputs)


class Ensemble(Score):
    """-log p of several models, and how far they disagree: WAIC (Choi et al. 2019, equation 1).

        -(mean_k log p_k(x) - var_k log p_k(x))      (https://arxiv.org/abs/1810.01392)

    Args:
        members: two or more over the same events, of different seeds.
    """

    def __init__(self, members: Sequence[Model]):
        if len(members) < 2:
            raise ValueError(f"An ensemble has at least 2 models. Received: {len(members)}")
        super().__init__(members[0])
        check_members(members, "members")
        self.members = list(members)

    @property
    def models(self):
        return self.members

    def compute(self, *inputs):
        nll = ops.stack([-log_density(member, *inputs) for member in self.members])
        # Far out a difference is beyond float32 when squared; the order there is that of the nll.
        spread = ops.var(ops.clip(nll, -1e15, 1e15), axis=0)
        return ops.mean(nll, axis=0) + spread
