"""The scores by their names."""

from collections.abc import Callable, Sequence
from typing import Any

from tfflows.anomaly.combined import DensityOfStates, JointDensity
from tfflows.anomaly.complexity import ComplexityCorrected, GivenComplexity, UnusualComplexity
from tfflows.anomaly.defaults import complementary_scores, statistics_of
from tfflows.anomaly.densities import Model
from tfflows.anomaly.nearest import NearestRow
from tfflows.anomaly.scores import (
    FisherScore,
    LatentNorm,
    NegativeLogLikelihood,
    Score,
    ScoreNorm,
    Typicality,
)
from tfflows.anomaly.several_models import Ensemble, LikelihoodRatio
from tfflows.anomaly.smallest_p_value import SmallestPValue
from tfflows.utils.suggest import nearest

SCORES: dict[str, Callable[[Model], Score]] = {
    "nll": NegativeLogLikelihood,
    "typicality": Typicality,
    "latent_norm": LatentNorm,
    "score_norm": ScoreNorm,
    "fisher": FisherScore,
    "complexity": ComplexityCorrected,
    "given_complexity": GivenComplexity,
    "unusual_complexity": UnusualComplexity,
    "density_of_states": lambda model: DensityOfStates(model, statistics_of(model)),
    "nearest": NearestRow,
    "smallest_p_value": lambda model: SmallestPValue(model, complementary_scores(model)),
    "joint_density": lambda model: JointDensity(model, statistics_of(model)),
}
OF_SEVERAL = ("likelihood_ratio", "ensemble")
NAMES = (*SCORES, *OF_SEVERAL)


def check_score(score: Any) -> None:
    """ValueError unless a score is "auto", one of `NAMES`, or makes a `Score` of a model."""
    if score in ("auto", *NAMES) or (callable(score) and not isinstance(score, str)):
        return
    raise ValueError(
        f"score must be 'auto', one of {list(NAMES)}, or a class of scores. "
        f"Received: {score!r}{nearest(str(score), NAMES)}"
    )


def make_score(name: str | Callable[[Model], Score], models: Sequence[Model]) -> Score:
    """The score of a name, or of what makes one, over one model or several."""
    if name == "likelihood_ratio":
        return LikelihoodRatio(*models)
    if name == "ensemble":
        return Ensemble(models)
    return SCORES[name](models[0]) if isinstance(name, str) else name(models[0])
