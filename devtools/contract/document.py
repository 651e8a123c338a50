"""The AsyncAPI document, put together."""

from pathlib import Path
from string import Template
from typing import Any, Final

from devtools.contract.channels import channels
from devtools.contract.json_schemas import component_schemas
from devtools.contract.messages import MESSAGES
from devtools.contract.operations import operations
from devtools.contract.permissions import AUTHORITY, PERMISSIONS
from devtools.contract.properties import RETENTION_DAYS
from schemas.version import VERSION

_GUIDE: Final = Path(__file__).with_name("guide.md")


def document() -> dict[str, Any]:
    """Return all of it, in the order in which it is read."""
    return {
        "asyncapi": "3.1.0",
        "id": f"urn:streams:contract:{VERSION}",
        "info": {
            "title": "Streams of devices",
            "version": str(VERSION),
            "description": guide(),
            "license": {"name": "MIT"},
            "tags": [
                {"name": "commands", "description": "What a device asks for."},
                {"name": "events", "description": "What happened, for everybody who wants to know."},
                {"name": "dead letters", "description": "What could not become a reply, for operators."},
            ],
        },
        "servers": _servers(),
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": {message.name: message.document for message in MESSAGES},
            "schemas": component_schemas(),
            "securitySchemes": _SECURITY,
        },
    }


def guide() -> str:
    """Return what a reader has to know before the details."""
    return Template(_GUIDE.read_text("utf-8")).substitute(
        retention_days=RETENTION_DAYS, authority=AUTHORITY, permissions=PERMISSIONS, version=VERSION
    )


_SECURITY: Final = {
    "userPassword": {
        "type": "userPassword",
        "description": "AMQP's PLAIN login: a user of the broker and its password. A device's user is its "
        "device id where the worker asks who may do what. Over anything but this machine use `amqps`.",
    },
    "certificate": {
        "type": "X509",
        "description": "A client certificate, and EXTERNAL login where the broker is set up for it. It is shown "
        "beside user and password, or in their place.",
    },
}


def _servers() -> dict[str, Any]:
    return {
        "plain": _server(
            "amqp", 5672, "Not encrypted: for this machine, or a network that nobody listens to.", ()
        ),
        "encrypted": _server("amqps", 5671, "TLS 1.2 or newer.", ("certificate",)),
    }


def _server(protocol: str, port: int, text: str, also: tuple[str, ...]) -> dict[str, Any]:
    return {
        "host": f"{{host}}:{port}",
        "protocol": protocol,
        "protocolVersion": "0.9.1",
        "pathname": "/{vhost}",
        "description": f"RabbitMQ 3.10 or newer. {text}",
        "variables": {
            "host": {"description": "The broker's host.", "default": "127.0.0.1"},
            "vhost": {"description": "The virtual host; `/` is written `%2F`.", "default": "%2F"},
        },
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("userPassword", *also)],
    }
