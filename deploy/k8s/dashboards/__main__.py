from deploy.k8s.dashboards import ALL
from deploy.k8s.grafana import FOLDER

FOLDER.mkdir(exist_ok=True)
for dashboard in ALL:
    dashboard.path.write_text(dashboard.text())
