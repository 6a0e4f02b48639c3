"""Webhooks: what the logs say, sent to tenants' own addresses."""
