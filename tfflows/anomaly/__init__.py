"""Anomaly scores over flows, and thresholds with guarantees."""

from tfflows.anomaly.choices import SCORES
from tfflows.anomaly.combined import DensityOfStates, JointDensity
from tfflows.anomaly.complexity import (
    ComplexityCorrected,
    GivenComplexity,
    UnusualComplexity,
    code_length,
)
from tfflows.anomaly.conformal import Drift, benjamini_hochberg, drift, p_values, threshold
from tfflows.anomaly.detector import AnomalyDetector
from tfflows.anomaly.explaining import Explanation
from tfflows.anomaly.report import write_report
from tfflows.anomaly.report_numbers import AnomalyReport
from tfflows.anomaly.scores import (
    FisherScore,
    LatentNorm,
    NegativeLogLikelihood,
    Score,
    ScoreNorm,
    Typicality,
)
from tfflows.anomaly.served_detector import ServedDetector
from tfflows.anomaly.several_models import Ensemble, LikelihoodRatio

__all__ = [
    "SCORES",
    "AnomalyDetector",
    "AnomalyReport",
    "ComplexityCorrected",
    "DensityOfStates",
    "Drift",
    "Ensemble",
    "Explanation",
    "FisherScore",
    "GivenComplexity",
    "JointDensity",
    "LatentNorm",
    "LikelihoodRatio",
    "NegativeLogLikelihood",
    "Score",
    "ScoreNorm",
    "ServedDetector",
    "Typicality",
    "UnusualComplexity",
    "benjamini_hochberg",
    "code_length",
    "drift",
    "p_values",
    "threshold",
    "write_report",
]
