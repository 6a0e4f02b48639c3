"""What every service needs to run: bus, event log, settings, logs, traces, health. Knows no domain."""
