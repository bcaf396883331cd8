"""Which request misbehaves, and how: a plan of rules over the presets (provider contract section 8).

Google's are in sandbox/presets.py, Microsoft's in sandbox/microsoft/presets.py.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sandbox.microsoft.presets import MICROSOFT
from sandbox.presets import PRESETS, Preset
from sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from sandbox.world import World

KNOWN = PRESETS | MICROSOFT


@dataclass(eq=False)
class Rule:
    """One fault in the plan. It fires from its `nth` matching call on, `times` times (None: for ever), each time with
    `probability`. `operation` is a glob over operation ids (gmail.messages.get), `method` a HTTP method, `path` a glob."""

    fault: str
    preset: Preset
    operation: str
    times: int | None
    account: str = ""
    item: str = ""
    method: str = ""
    path: str = ""
    nth: int = 1
    probability: float = 1.0
    variant: str = ""
    seconds: float = 0.0
    calls: int = 0
    fired: int = 0
    first_seen: dict[str, float] = field(default_factory=dict)

    def matches(self, request: Request) -> bool:
        return (
            any(fnmatchcase(request.operation, glob) for glob in self.operation.split("|"))
            and (not self.account or self.account == request.account)
            and (not self.item or self.item == request.item)
            and (not self.method or self.method == request.method)
            and (not self.path or fnmatchcase(request.path, self.path))
            and self.preset.applies(request)
        )


class FaultPlan:
    def __init__(self, world: World, seed: int) -> None:
        self.rules: list[Rule] = []
        self._world = world
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def add(self, fault: str, **given: Any) -> Rule:
        """Plans a fault; see Rule for what can be given. Raises ValueError for an unknown fault or field."""
        preset = KNOWN.get(fault)
        if preset is None:
            raise ValueError(f"There is no fault {fault}; known: {', '.join(sorted(KNOWN))}.")
        if fault in MICROSOFT and preset.variants and given.get("variant", "") not in ("", *preset.variants):
            raise ValueError(f"{fault} has no variant {given['variant']}; known: {', '.join(preset.variants)}.")
        unknown = set(given) - {*Rule.__dataclass_fields__} | ({*given} & {"fault", "preset", "calls", "fired"})
        if unknown:
            raise ValueError(f"A fault has no {sorted(unknown)[0]}.")
        filled = {"operation": preset.operation, "times": preset.times, "nth": preset.nth, "seconds": preset.seconds}
        rule = Rule(fault, preset, **(filled | given))
        if preset.act:
            preset.act(self._world, rule)
        else:
            with self._lock:
                self.rules.append(rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    def pick(self, request: Request) -> Rule | None:
        """The first rule that fires on this request; counts it."""
        if not self.rules:
            return None
        with self._lock:
            for rule in self.rules:
                if rule.matches(request) and self._fires(rule):
                    return rule
        return None

    def before(self, rule: Rule, request: Request) -> Answer | None:
        return rule.preset.before(request, rule, self._world) if rule.preset.before else None

    def after(self, rule: Rule, request: Request, answer: Answer) -> Answer:
        return rule.preset.after(request, rule, answer) if rule.preset.after else answer

    def as_json(self) -> list[dict[str, Any]]:
        shown = ("fault", "operation", "times", "account", "item", "nth", "variant", "calls", "fired")
        return [{name: getattr(rule, name) for name in shown} for rule in self.rules]

    def _fires(self, rule: Rule) -> bool:
        rule.calls += 1
        if rule.calls < rule.nth or (rule.times is not None and rule.fired >= rule.times):
            return False
        if rule.probability < 1.0 and self._chance.random() >= rule.probability:
            return False
        rule.fired += 1
        return True
