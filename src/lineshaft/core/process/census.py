"""What the processes of this machine take, and what they hold; only this file asks."""

import os
import time

import psutil

from lineshaft.core.health.meaning import Meaning, counter, gauge

MEANINGS: dict[str, Meaning] = {
    "cpu_s": counter("process_cpu", "Processor time of the process.", "seconds"),
    "memory_bytes": gauge("process_resident_memory", "Memory in use.", "bytes"),
    "open_files": gauge("process_open_files", "Open files and sockets."),
    "threads": gauge("process_threads", "Threads of the process."),
    "up_s": gauge("process_uptime", "Time since the process started.", "seconds"),
}
"""What the figures of `burden` are."""


def burden(pid: int | None = None) -> dict[str, float | int | str]:
    """Return what a process takes; ours if none is named, nothing if it is gone."""
    try:
        process = psutil.Process(pid or os.getpid())
        with process.oneshot():
            used = process.cpu_times()
            return {
                "cpu_s": round(used.user + used.system, 3),
                "memory_bytes": process.memory_info().rss,
                "open_files": process.num_fds(),
                "threads": process.num_threads(),
                "up_s": round(time.time() - process.create_time(), 1),
            }
    except psutil.Error:
        return {}


def listener_on(port: int) -> str:
    """Return who listens on a port; empty if that is not to be seen."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr.port == port and connection.pid:
            return _describe(connection.pid)
    return ""


def listening(pid: int) -> list[tuple[str, int]]:
    """Return where a process and its children listen: addresses and ports."""
    found: list[tuple[str, int]] = []
    try:
        supervisor = psutil.Process(pid)
        family = [supervisor, *supervisor.children(recursive=True)]
    except psutil.Error:
        return found
    for process in family:
        try:
            sockets = process.net_connections("tcp")
        except psutil.Error:
            continue  # it has just ended
        listens = (each for each in sockets if each.status == psutil.CONN_LISTEN)
        found += [(each.laddr.ip, each.laddr.port) for each in listens]
    return found


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}, user {process.username()})"
    except psutil.Error:
        return f"pid {pid}"
