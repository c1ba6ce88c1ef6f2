"""A process that outlives the program that started it: on record in a file, with its own session and start time.

Why: `up` ends while the servers live on, so `down`, `status` and the watcher have only the record to go by; and a
number alone is no proof, since the system gives numbers out again. Linux only: reads /proc.
Not a supervisor: nothing is started again.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

OUTPUT_TAIL_LINES = 25


class Failed(Exception):
    """Went wrong while running; a second try may help. Exit code 1."""


class Unusable(Exception):
    """The machine or the command line is not right; nothing was done. Exit code 2."""


class Process:
    """A process by number and start time. A zombie has ended: perhaps nobody will ever reap it."""

    def __init__(self, pid, start_ticks):
        self.pid = pid
        self.start_ticks = start_ticks

    @classmethod
    def of(cls, pid):
        ticks = start_ticks(pid)
        return cls(pid, ticks) if ticks else None

    @classmethod
    def recorded(cls, record):
        """The process on record, or None if there is none or it has ended."""
        try:
            process = cls(*map(int, record.read_text().split()))
        except (FileNotFoundError, TypeError, ValueError):
            return None
        return process if process.is_alive() else None

    def is_alive(self):
        return start_ticks(self.pid) == self.start_ticks

    def end(self, first_signal, patience_s):
        """Ends the whole session, by KILL if the first signal has not done it in time. Gives the last signal sent."""
        self._send(first_signal)
        self._send(signal.SIGCONT)  # a test may have halted it
        if self._has_ended_within(patience_s):
            return first_signal
        self._send(signal.SIGKILL)
        if not self._has_ended_within(patience_s):
            raise Failed(f"process {self.pid} survived SIGKILL")
        return signal.SIGKILL

    def _send(self, number):
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _has_ended_within(self, seconds):
        deadline = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def start_ticks(pid):
    """When the process started, in clock ticks since boot; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[19]) if fields[0] not in "ZX" else None


def launch(command, record, log, environment):
    """Starts a program in a session of its own. The child writes its record itself, before it becomes the program and
    while it still holds every lock of its parent: so there is no moment at which it runs and is not on record."""

    def write_record():
        record.write_text(f"{os.getpid()} {start_ticks(os.getpid())}")

    with open(log, "ab") as output:
        subprocess.Popen(
            command,
            cwd=record.parent,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=write_record,
        )


def run_quietly(command, purpose, cwd=None):
    """Runs a program to its end; what it says is shown only when it fails."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Failed(f"{purpose}: exit code {done.returncode}\n{tail_of(done.stdout)}")


def tail_of(output):
    lines = output.decode(errors="replace").splitlines()[-OUTPUT_TAIL_LINES:]
    return "\n".join("    " + line for line in lines) or "    (it said nothing)"
