"""Training of networks, and calibration, through the process model."""
