"""Who may do what: in the worker's eyes, and on the broker."""

import re
from collections.abc import Sequence
from typing import Final

from devtools.contract.catalogue import table
from devtools.contract.channels import EVENT_LOG, NAMESPACE, OBJECTS

_ANY: Final = f"^{NAMESPACE}\\..*$"
_SERVER_NAMED: Final = r"^amq\.gen-.*$"


def _exactly(name: str) -> str:
    return f"^{re.escape(name)}$"


AUTHORITY: Final = table(
    ("", "a device (`user_id` = its device id)", "an operator (in `STREAMS_OPERATORS`)"),
    [
        ["create; stop or get by `device_id`", "its own; another's is `forbidden`", "all"],
        [
            "stop by `stream_id` or `code`, get by `stream_id`",
            "its own; another's is `not_found`, word for word as one that is not there",
            "all",
        ],
        ["get by `code`", "all: that is what a code is for", "all"],
    ],
)

_ROWS: Final[Sequence[Sequence[str]]] = [
    [
        "device",
        f"`{_SERVER_NAMED}`",
        f"`{_exactly(OBJECTS.commands)}`",
        f"`{_SERVER_NAMED}`",
        f"write `^<its user>$` on `{OBJECTS.commands}`",
    ],
    [
        "operator, in `STREAMS_OPERATORS`",
        f"`{_SERVER_NAMED}`",
        f"`{_exactly(OBJECTS.commands)}`",
        f"`{_SERVER_NAMED}`",
        f"write `.*` on `{OBJECTS.commands}`",
    ],
    [
        "subscriber",
        "`^<its queue>$`",
        "`^<its queue>$`",
        f"`^(<its queue>|{re.escape(OBJECTS.events)})$`",
        f"read what it binds, `.*` for all, on `{OBJECTS.events}`",
    ],
    ["subscriber that replays", "`^$`", "`^$`", f"`{_exactly(EVENT_LOG)}`", ""],
    [
        "worker, `STREAMS_TOPOLOGY=check`",
        "`^$`",
        rf"`^({NAMESPACE}\.(events|dead)|amq\.default)$`",
        rf"`^{re.escape(OBJECTS.commands)}(\.\d+)?$`",
        "",
    ],
    ["whoever runs `topology apply`", f"`{_ANY}`", f"`{_ANY}`", f"`{_ANY}`", ""],
]

PERMISSIONS: Final = table(("", "configure", "write", "read", "topic"), _ROWS)
