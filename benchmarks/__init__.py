"""Measurements of what the platform can do. `python -m benchmarks` runs them."""
