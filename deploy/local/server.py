"""What every local server has: a folder, ports that stay over a restart, a process on record and a log.

Why: `up`, `down`, `status` and the watcher treat all servers alike; only how one is prepared and asked differs.
"""

import contextlib
import json
import random
import socket
from pathlib import Path

from process import Failed, Process, launch, tail_of

HERE = Path(__file__).resolve().parent
STOP_WITHIN_S = 20  # then KILL; a broker with a few topics needs under 2 s
ANSWER_WITHIN_S = 5  # a server that is up answers in milliseconds; one that does not yet is asked again
PROVE_WITHIN_S = 60  # what is asked once: the first write of a server that has just started may be slow
JVM_ALWAYS = ["-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError"]


class Server:
    """What they have in common: a folder, ports that stay over a restart, a process on record and a log."""

    def __init__(self, folder):
        self.home = folder / self.name
        self.log = self.home / "log"

    def has_ports(self):
        return (self.home / "ports.json").exists()

    def ports(self):
        path = self.home / "ports.json"
        if not path.exists():
            path.write_text(json.dumps(free_ports(2)))
        return json.loads(path.read_text())

    def process(self):
        return Process.recorded(self.home / "process")

    def start(self, memory_and_compiler):
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        jvm = [*JVM_ALWAYS, *memory_and_compiler, f"-Djava.io.tmpdir={self.home / 'tmp'}"]
        command, environment = self.prepare(jvm)
        launch(command, self.home / "process", self.log, environment)

    def stop(self, first_signal):
        """Gives the signal that ended it, None if it was not running."""
        process = self.process()
        return process.end(first_signal, STOP_WITHIN_S) if process else None

    def log_tail(self):
        return tail_of(self.log.read_bytes() if self.log.exists() else b"")

    def write_properties(self, **words):
        properties = self.home / f"{self.name}.properties"
        properties.write_text((HERE / properties.name).read_text().format(home=self.home, **words))
        return properties

    def description(self):
        process = self.process()
        return {self.endpoint_key: self.endpoint(), "pid": process.pid if process else None}


def free_ports(count):
    """Ports below those that the system gives to clients. Else a client that keeps knocking at a stopped server could
    be given that very port, connect to itself, and hold the port against the server's return."""
    first_client_port = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    lowest = max(first_client_port - 12_000, 10_000)
    ports = []
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                wanted = random.randrange(lowest, first_client_port) if lowest < first_client_port else 0
                probe.bind(("127.0.0.1", wanted))
                ports.append(probe.getsockname()[1])
            if len(ports) == count:
                return ports
    raise Failed(f"no free port from {lowest} to {first_client_port}")
