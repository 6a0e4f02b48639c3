"""What presence says to rules: devices that went. Pure.

Presence is weighed from both logs (ADR 0022 and `presence.py`), so it is read as it stands, not as it comes.
"""

from __future__ import annotations

from contracts.alert_rules import TheseDevices
from services.telemetry.alerting.board import Board
from services.telemetry.alerting.machine import About, Key, Rule, Seen, State
from services.telemetry.presence import Word


class PresenceBoard(Board):
    kinds = ("offline",)

    def judge(self, organization: str, device: str, word: Word) -> None:
        """What is known of a device; again is harmless."""
        self.now = max(self.now, word.at)
        for rule in self.rules.offline.get(organization, ()):
            if not self.rules.covers(rule, device):
                continue
            if not isinstance(rule.said.scope, TheseDevices) and not word.online and word.at < rule.since:
                continue  # it went before anybody asked to be told
            state = "online" if word.online else "offline"
            evidence = {"online": word.online, "since": word.since.isoformat(), "why": word.why}
            seen = Seen(not word.online, word.since, word.at, f"{device} is {state} ({word.why})", evidence)
            self.saw(rule, Key(organization, rule.id, device), seen)

    def about(self, rule: Rule, key: Key) -> About:
        del rule
        return About(device_id=key.target)

    def words(self, rule: Rule, key: Key, state: State) -> str:
        why = (state.first or {}).get("why")
        return f"{key.target} is offline ({why}) for {rule.for_.total_seconds():g} s"
