"""The calls of the HTTP API, a file per resource."""
