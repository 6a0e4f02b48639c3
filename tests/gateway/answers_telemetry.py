"""What telemetry answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import (
    alert_previews,
    alert_rules,
    alerts,
    connections,
    decoder_previews,
    device_commands,
    devices,
    integrations,
    presence,
    rebuild,
    redecode,
    retention,
    series,
    stats,
    telemetry,
)
from contracts.calls import Call, Nothing, Page
from contracts.failures import Refused
from tests.gateway.callers import ALPHA, NOW, empty, own


def _storage(request: retention.GetStorage) -> retention.StorageView:
    if set(request.device_id) - {"d1"}:
        raise Refused("not_found")
    return retention.StorageView(bytes=0, items=())


def _device(request: telemetry.GetDevice) -> telemetry.DeviceDetail:
    own(request, "d1")
    return telemetry.DeviceDetail(id="d1", online=True, first_seen=NOW, last_seen=NOW, latest={})


def _activity(request: telemetry.GetActivity) -> telemetry.ActivityRow:
    own(request, "a1")
    return telemetry.ActivityRow(id="a1", time=NOW, kind="link.up", status="ok", summary="", actor="ingest")


def _erasure(request: devices.GetErasure) -> devices.Erasure:
    own(request, "erase_1")
    return devices.Erasure(id="erase_1", device_id="d1", state="running", forgotten_at=NOW)


def _command(request: device_commands.GetDeviceCommand) -> device_commands.DeviceCommandView:
    own(request, "cmd_1")
    return device_commands.DeviceCommandView(
        id="cmd_1",
        device_id="d1",
        integration_id="hosted",
        state="queued",
        topic=f"{ALPHA}/commands/d1/set/cmd_1",
        payload="on",
        encoding="utf-8",
        qos=1,
        retain=False,
        response_topic=f"{ALPHA}/devices/d1/responses/cmd_1",
        correlation_id="cmd_1",
        queued_at=NOW,
        expires_at=NOW,
        actor="key:key_alpha",
    )


def _redecode(request: Any) -> redecode.Redecode:
    if request.id != "redec_1":
        raise Refused("not_found")
    return redecode.Redecode(
        id=request.id,
        integration_id="hosted",
        start=NOW,
        end=NOW,
        decoder=integrations.DecoderChoice(),
        decoder_version=1,
        state="running",
        ordered_at=NOW,
    )


def _previewed(_: Any) -> redecode.RedecodePreview:
    return redecode.RedecodePreview(
        messages=3,
        complete=True,
        looked_until=NOW,
        log_from=NOW,
        added=3,
        removed=6,
        changed=0,
        unchanged=0,
        failed=0,
        resolved=0,
    )


def _rebuild(_: Any) -> rebuild.Rebuild:
    return rebuild.Rebuild(
        id=1,
        state="reading",
        actor="admin",
        ordered_at=NOW,
        began_at=NOW,
        finished_at=None,
        messages=100,
        points=300,
        carried=0,
        messages_left=50,
        points_per_s=100.0,
        left_s=1.5,
        comparison=None,
        error=None,
    )


def _alert(request: Any) -> alerts.Alert:
    if request.id != "alert_1":
        raise Refused("not_found")
    return alerts.Alert(
        id=request.id,
        state="open",
        rule_id=alert_rules.LINKS,
        rule_name="links",
        kind="link",
        severity="warning",
        summary="down",
        since=NOW,
        opened_at=NOW,
    )


TELEMETRY: dict[Call[Any, Any], Callable[[Any], Any]] = {
    retention.GET_RETENTION: lambda r: retention.RetentionView(
        **retention.DEFAULT.model_dump(), chosen=False
    ),
    retention.GET_STORAGE: _storage,
    alert_previews.PREVIEW_ALERT_RULE: lambda _: alert_previews.AlertPreview(
        start=NOW, end=NOW, complete=True, judged=0, opened=0
    ),
    alerts.LIST_ALERTS: empty(Page[alerts.AlertRow]),
    alerts.GET_ALERT: _alert,
    alerts.ACKNOWLEDGE_ALERT: _alert,
    alerts.RESOLVE_ALERT: _alert,
    redecode.PREVIEW_REDECODE: _previewed,
    redecode.LIST_REDECODES: lambda _: Page[redecode.Redecode](items=[]),
    redecode.GET_REDECODE: _redecode,
    redecode.PAUSE_REDECODE: _redecode,
    redecode.RESUME_REDECODE: _redecode,
    redecode.CANCEL_REDECODE: _redecode,
    decoder_previews.CHECK_DECODER: lambda _: Nothing(),
    decoder_previews.PREVIEW_DECODER: lambda _: decoder_previews.DecoderPreview(outcome="nothing"),
    rebuild.START_REBUILD: _rebuild,
    rebuild.GET_REBUILD: lambda r: rebuild.RebuildState(rebuild=_rebuild(r)),
    rebuild.CANCEL_REBUILD: _rebuild,
    rebuild.GET_LOGS: lambda _: rebuild.Logs(projections=[]),
    telemetry.LIST_TELEMETRY: lambda _: Page[telemetry.TelemetryRow](
        items=[
            telemetry.TelemetryRow(
                device_id="d1",
                timestamp=NOW,
                metrics={"temperature": 21.5, "open": True, "count": 3, "mode": "auto"},
                topic="t",
                integration_id="hosted",
                sequence=1,
            )
        ],
        next_cursor=None,
    ),
    series.GET_SERIES: lambda r: series.SeriesPage(
        start=NOW, end=NOW, interval=r.interval, time_zone=r.time_zone, fill=r.fill, timestamps=[], items=[]
    ),
    series.LIST_LATEST: empty(Page[series.LatestRow]),
    telemetry.LIST_MESSAGES: empty(Page[telemetry.MessageRow]),
    stats.GET_STATS: lambda r: stats.StatsPage(
        start=NOW, end=NOW, interval=r.interval, by=r.by, timestamps=[], items=[]
    ),
    telemetry.LIST_METRICS: empty(Page[telemetry.MetricRow]),
    telemetry.LIST_DEVICES: empty(Page[telemetry.DeviceRow]),
    telemetry.GET_DEVICE: _device,
    presence.GET_PRESENCE: lambda r: presence.PresencePage(
        at=NOW,
        now=presence.PresenceCounts(devices=3, online=1, offline=1, unknown=1, hidden=0),
        start=NOW,
        end=NOW,
        interval=r.interval,
        timestamps=[NOW],
        online=[1],
    ),
    devices.LIST_ERASURES: empty(Page[devices.Erasure]),
    devices.GET_ERASURE: _erasure,
    connections.GET_CONNECTION_STATISTICS: lambda _: connections.ConnectionStatistics(
        connects=4, messages_in=10, last_seen_at=NOW
    ),
    telemetry.LIST_ACTIVITY: empty(Page[telemetry.ActivityRow]),
    telemetry.GET_ACTIVITY: _activity,
    device_commands.LIST_DEVICE_COMMANDS: empty(Page[device_commands.DeviceCommandView]),
    device_commands.GET_DEVICE_COMMAND: _command,
}
