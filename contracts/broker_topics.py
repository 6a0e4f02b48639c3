"""What may be subscribed and published to at a broker: by MQTT, and by its provider's own rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import field_validator

from contracts.broker_providers import AwsIotSettings, AzureIotSettings
from contracts.broker_settings import BrokerSettings
from contracts.calls import Model
from contracts.failures import Refused
from contracts.topics import check_filter, check_topic, covers

TOPICS_MAX = 100
# docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits and
# docs.aws.amazon.com/iot/latest/developerguide/mqtt.html (no QoS 2)
AWS_SUBSCRIPTIONS_MAX = 50
AWS_FILTERS_A_SUBSCRIBE = 8
AWS_TOPIC_BYTES_MAX = 256
AWS_LEVELS_MAX = 8
# learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub: no topics but a device's own, no QoS 2
AZURE_FILTERS = (
    "devices/{device}/messages/devicebound/#",
    "$iothub/twin/res/#",
    "$iothub/twin/PATCH/properties/desired/#",
    "$iothub/methods/POST/#",
)
AZURE_TOPICS = ("devices/{device}/messages/events/#", "$iothub/twin/#", "$iothub/methods/res/#")


class TopicFilter(Model):
    filter: str
    qos: Literal[0, 1, 2] = 1

    @field_validator("filter")
    @classmethod
    def _by_the_rules(cls, value: str) -> str:
        try:
            check_filter(value, hosted=False)
        except Refused as refused:
            raise ValueError(refused.detail) from refused
        return value


DEFAULT_TOPICS = (TopicFilter(filter="devices/+/telemetry"), TopicFilter(filter="devices/+/status"))


def default_topics(settings: BrokerSettings) -> tuple[TopicFilter, ...]:
    """What an integration without topics of its own subscribes to."""
    if isinstance(settings, AzureIotSettings):
        return tuple(TopicFilter(filter=filter) for filter in _of_device(AZURE_FILTERS, settings)[:1])
    return DEFAULT_TOPICS


def filters_a_subscribe(settings: BrokerSettings) -> int:
    """How many filters one SUBSCRIBE may name."""
    return AWS_FILTERS_A_SUBSCRIBE if isinstance(settings, AwsIotSettings) else TOPICS_MAX


def check_topics(settings: BrokerSettings, topics: Sequence[TopicFilter]) -> None:
    """Refuse (`filter.invalid`, the field named) what the provider would hang up on."""
    for index, topic in enumerate(topics):
        where = f"topics.{index}"
        if topic.filter in {earlier.filter for earlier in topics[:index]}:
            raise Refused("filter.invalid", "this filter is there twice", field=f"{where}.filter")
        match settings:
            case AwsIotSettings():
                _aws(topic.filter, "filter.invalid", f"{where}.filter")
            case AzureIotSettings() if not _among(AZURE_FILTERS, settings, topic.filter):
                own = ", ".join(_of_device(AZURE_FILTERS, settings))
                detail = f"Azure IoT Hub gives a device nothing but {own}"
                raise Refused("filter.invalid", detail, field=f"{where}.filter")
        _check_qos(settings, topic.qos, "filter.invalid", f"{where}.qos")
    if isinstance(settings, AwsIotSettings) and len(topics) > AWS_SUBSCRIPTIONS_MAX:
        detail = (
            f"AWS IoT Core takes {AWS_SUBSCRIPTIONS_MAX} subscriptions a connection: combine filters with +"
        )
        raise Refused("filter.invalid", detail, field="topics")


def check_publish(settings: BrokerSettings, topic: str, qos: int) -> None:
    """Refuse (`topic.invalid`) a publish that the provider would hang up on."""
    check_topic(topic, hosted=False)
    _check_qos(settings, qos, "topic.invalid", "qos")
    match settings:
        case AwsIotSettings():
            _aws(topic, "topic.invalid", "topic")
        case AzureIotSettings() if not _among(AZURE_TOPICS, settings, topic):
            own = ", ".join(_of_device(AZURE_TOPICS, settings))
            raise Refused(
                "topic.invalid", f"Azure IoT Hub takes from a device nothing but {own}", field="topic"
            )


def _check_qos(settings: BrokerSettings, qos: int, code: str, field: str) -> None:
    if qos == 2 and isinstance(settings, AwsIotSettings | AzureIotSettings):
        provider = "AWS IoT Core" if isinstance(settings, AwsIotSettings) else "Azure IoT Hub"
        raise Refused(code, f"{provider} knows QoS 0 and 1", field=field)


def _aws(text: str, code: str, field: str) -> None:
    size, levels = len(text.encode()), text.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    elif levels[:2] == ["$aws", "rules"]:
        levels = levels[3:]  # Basic Ingest's own levels do not count
    if size > AWS_TOPIC_BYTES_MAX:
        raise Refused(code, f"it has {size} bytes, AWS IoT Core takes {AWS_TOPIC_BYTES_MAX}", field=field)
    if len(levels) > AWS_LEVELS_MAX:
        raise Refused(code, f"it has {len(levels)} levels, AWS IoT Core takes {AWS_LEVELS_MAX}", field=field)


def _of_device(filters: Sequence[str], settings: AzureIotSettings) -> list[str]:
    return [filter.format(device=settings.device_id) for filter in filters]


def _among(filters: Sequence[str], settings: AzureIotSettings, text: str) -> bool:
    return any(covers(filter, text) for filter in _of_device(filters, settings))
