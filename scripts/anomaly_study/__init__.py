"""The parts of the study of anomaly detection on the tables of ADBench."""
