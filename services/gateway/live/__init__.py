"""GET /v1/stream: what happens in an organization, as it happens (decision 26)."""
