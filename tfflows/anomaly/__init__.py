"""Anomaly scores over flows, and thresholds with guarantees."""
