"""Runs one command and writes what it took: usage: spent.py RESULT LIMIT COMMAND…

A process of its own: what a process that starts another has in memory counts as the other's peak, and
this one has little. RESULT gets JSON: wall, cpu (seconds), memory (bytes), code, and whether it was late,
which is that it was stopped after LIMIT seconds.
"""

import json
import os
import signal
import sys
import time

result, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]


def stop(*_: object) -> None:
    """Leave the wait below."""
    raise TimeoutError


signal.signal(signal.SIGALRM, stop)
start = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0)
late = False
try:
    signal.setitimer(signal.ITIMER_REAL, limit)
    _, status, used = os.wait4(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
except TimeoutError:
    late = True
    os.killpg(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
said = {
    "wall": time.perf_counter() - start,
    "cpu": used.ru_utime + used.ru_stime,
    "memory": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    "code": os.waitstatus_to_exitcode(status),
    "late": late,
}
with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes memory
    json.dump(said, file)
