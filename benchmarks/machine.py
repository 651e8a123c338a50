"""Where and with what it was measured, and what a process has used. Linux only: it reads /proc."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

_KIB: Final = 1024
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PACKAGES: Final = ("aio-pika", "aiormq", "aiosqlite", "asyncpg", "pydantic", "sqlalchemy", "uvloop")


def cpu_s(pid: int) -> float:
    """Return the processor time that a process with all its threads has used, in steps of some 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / _TICKS_A_SECOND


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[0]) * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a reader must know to compare: nothing that names the machine."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: Mapping[str, str]


def this_machine() -> Machine:
    """Describe the machine and the packages of this environment."""
    models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    total_kib = int(re.findall(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())[0])
    packages = {name: version(name) for name in _PACKAGES}
    return Machine(
        processor=models[0] if models else platform.machine(),
        cores=os.cpu_count() or 1,
        memory_gib=round(total_kib / _KIB**2, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        versions={"python": platform.python_version()} | packages,
    )
