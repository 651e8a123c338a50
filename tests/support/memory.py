"""How much memory a process has."""

import asyncio


async def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB, as the system's `ps` has it."""
    asked = await asyncio.create_subprocess_exec(
        "ps", "-o", "rss=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asked.communicate()
    return int(told) / 1024
