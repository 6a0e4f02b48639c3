"""The ingest service with one thing changed: tokens are renewed after three seconds, not after minutes."""

from runtime.service import main
from services.ingest import authentication
from services.ingest.__main__ import run

if __name__ == "__main__":
    authentication.RENEWED_AT = 0.01  # of the 300 s that a token lives at least
    main(run)
