"""Grafana's dashboards, as data. `python -m deploy.k8s.dashboards` writes them as JSON (`make manifests`)."""

from deploy.k8s.dashboards.flow import HOSTED, LINKS, TENANT
from deploy.k8s.dashboards.platform import PLATFORM
from deploy.k8s.dashboards.storage import LOG, POSTGRES

ALL = (PLATFORM, TENANT, LINKS, HOSTED, LOG, POSTGRES)
