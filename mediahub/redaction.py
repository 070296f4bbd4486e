"""Takes secrets out of whatever is about to be logged or reported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

HIDDEN: Final = "[redacted]"
_SHORTEST: Final = 8  # a shorter setting would be found in ordinary words

# Words that, at the end of a name, say that its value is a secret. "tokens", a count, is none.
_ENDING = (
    r"(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key(?:[-_]?id)?|private[-_]?key"
    r"|secret[-_]?key|signature|credentials?|authorization|cookie|dsn)"
)
_SECRET_NAME: Final = re.compile(rf"(?:^|[\w-]*[-_]){_ENDING}", re.IGNORECASE)
_CREDENTIAL = r"(?:(?=[^\s\"']*\d)[\w.~+/=:-]{8,}|[\w.~+/=-]{20,})"
_PARAMETERS = (
    r"x-amz-[a-z-]+|x-goog-[a-z-]+|signature|sig|policy|key-pair-id|awsaccesskeyid"
    r"|access_token|token|key|api_?key|secret|password|code|hash"
)
# Each begins where a word does: else a long run of letters would be read anew from each of them.
_NAME_OF_SECRET = rf"((?<![\w-])[\w-]*?{_ENDING}[\"']?\s*[:=]\s*[\"']?)"
_PATTERNS: Final = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in [
        # Authorization: Bearer …, in a header, a dict or a sentence
        (rf"\b(bearer|basic|token)(\s+){_CREDENTIAL}", rf"\1\2{HIDDEN}"),
        (
            r"\b(authorization|cookie)([\"']?\s*[:=]\s*[\"']?)(?!bearer|basic|token)[^\"'\r\n,}]+",
            rf"\1\2{HIDDEN}",
        ),
        # ?X-Amz-Signature=…&token=…
        (rf"([?&;](?:{_PARAMETERS})=)[^&\s\"'<>]+", rf"\1{HIDDEN}"),
        # password=…, "api_key": "…"
        (rf"{_NAME_OF_SECRET}(?!\[redacted|bearer|basic)[^\s\"',;&}}]{{6,}}", rf"\1{HIDDEN}"),
        # postgres://user:password@host
        (r"(://)[^/\s:@\"']*:[^/\s@\"']+(?=@)", rf"\1{HIDDEN}"),
    ]
] + [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        # our own signed addresses, and anything else Django signs
        (r"(?<=[\w.-]{6}:)[\w-]{43}(?![\w-])", HIDDEN),
        # JSON web tokens
        (r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", HIDDEN),
        # keys that tell themselves by how they begin: ours, and those of the services we talk to
        (r"\bmh_\w{20,}", HIDDEN),
        (r"\b(?:sk|pk|gsk|rk|whsec|xai)[-_][\w-]{16,}", HIDDEN),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", HIDDEN),
        (r"\bAIza[\w-]{30,}", HIDDEN),
        # Telegram's: the number of the bot, then its secret
        (r"(?<!\d)\d{6,12}:[\w-]{30,}", HIDDEN),
        (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)", HIDDEN),
    ]
]


# Every pattern above needs one of these: most texts have none, and are not searched sixteen times.
_SUSPECT: Final = re.compile(
    r"bearer|basic|token|authorization|cookie|pass|secret|key|signature|credential|dsn|[?&;]|://"
    r"|:[\w-]{30}|eyJ|mh_|[gsprx]k[-_]|whsec|xai|AKIA|ASIA|AIza|-----BEGIN",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without secrets: those of our settings, and whatever looks like one."""
    if len(text) < _SHORTEST:
        return text
    for secret in _settings_secrets():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if _SUSPECT.search(text):
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
    return text


def redact_all(value: Any, *, name: str = "") -> Any:
    """The same for plain data of any depth; a value goes whole where its name says it is secret."""
    if isinstance(value, str):
        return HIDDEN if value and is_secret_name(name) else redact(value)
    if isinstance(value, Mapping):
        return {str(key): redact_all(each, name=str(key)) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_all(each, name=name) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def is_secret_name(name: str) -> bool:
    return _SECRET_NAME.fullmatch(name) is not None


@cache
def _settings_secrets() -> tuple[str, ...]:
    return tuple(_find_secrets())


@receiver(setting_changed)
def _look_anew(**_: object) -> None:
    _settings_secrets.cache_clear()


def _find_secrets() -> Iterator[str]:
    """The values of secret settings; of an address only its password, since hosts help to find faults."""
    for name in settings.ENV.secrets:
        value = getattr(settings, name, None) or os.environ.get(name, "")
        for each in [value] if isinstance(value, str) else value:
            if "://" in each:
                password = urlsplit(each).password or ""
                yield from (
                    part for part in (password, unquote(password)) if len(part) >= _SHORTEST
                )
            elif len(each) >= _SHORTEST:
                yield each
