"""Where replies may go: a sender must not make the worker write into somebody else's queue."""

import re
from typing import Final

ADDRESS_BYTES_MAX: Final = 255  # a short string (AMQP 0-9-1, section 4.2.5.3)


class ReplyAddresses:
    """Direct reply-to, server-named queues and `<namespace>.reply.…`, and what a setting allows beside them."""

    def __init__(self, *, namespace: str, also: str | None) -> None:
        allowed = [
            r"amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=._-]{1,230}",
            r"amq\.gen-[A-Za-z0-9_-]{1,128}",
            re.escape(namespace) + r"\.reply\.[A-Za-z0-9._:-]{1,190}",
        ]
        # Apart from one another: a pattern of somebody else's may begin with flags for the whole of it.
        self._allowed = [re.compile(pattern) for pattern in ("|".join(allowed), also) if pattern]

    def allows(self, address: str) -> bool:
        """Whether the whole address is of an allowed form."""
        if len(address.encode()) > ADDRESS_BYTES_MAX:
            return False
        return any(allowed.fullmatch(address) for allowed in self._allowed)
