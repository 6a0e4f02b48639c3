"""Alerts: rules of the registry, judged as messages and activity are stored, and on a clock for what does not come."""
