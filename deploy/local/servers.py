"""Starts and stops a real Kafka broker, schema registry and Postgres on loopback, without containers.

Why: what the service promises about delivery and schemas is worth as much as the servers it was shown on, and a test
machine may have neither Docker nor root. Each server gets free ports, its own session and a folder below DIR;
`up` comes back when a real request was answered, not when a port is open; `down` leaves no process and no folder.
Without names, `up` starts the broker and the registry; Postgres only when asked for: `up postgres`.
Not a way to run Kafka for keeps: one node, no security, loopback only, and the data are thrown away.

    DIR/.tripline-servers    marks the folder as ours to remove; also the lock of up and down
    DIR/watcher              record of the watcher (up --parent)
    DIR/kafka/               ports.json, process, log, kafka.properties, data/, tmp/
    DIR/registry/            ports.json, process, log, registry.properties, registry.mv.db, tmp/
    DIR/postgres/            ports.json, process, log, data/ (the server's own user's), tmp/
"""

import argparse
import base64
import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import uuid
from pathlib import Path

import parts
from postgres import Postgres
from process import Failed, Process, Unusable, launch, run_quietly
from server import ANSWER_WITHIN_S, HERE, PROVE_WITHIN_S, STOP_WITHIN_S, Server

MARKER = ".tripline-servers"
READY_WITHIN_S = 300  # the registry takes 5 to 14 s on two busy cores; a slower machine is no failure
JVM_TEST = ["-Xmx512m", "-XX:TieredStopAtLevel=1"]
JVM_BENCH = ["-Xmx1g"]


# --- The commands ----------------------------------------------------------------------------------------------------


def up(args):
    makes = [SERVERS[name] for name in args.server or DEFAULT]
    for make in makes:
        make.fetch()
    parent = parent_process(args.parent)
    folder, is_new = claim_folder(args.dir, parent)
    servers = [make(folder) for make in makes]
    with locked(folder):
        started = []
        try:
            if parent:
                start_watcher(folder, parent)
            for server in servers:
                if server.process() is None:
                    started.append(server)  # before it starts: a signal may come in between
                    server.start(JVM_BENCH if args.bench else JVM_TEST)
            wait_until_ready(servers, parent)
        except BaseException:
            for server in started:
                server.stop(signal.SIGKILL)
            if is_new:
                remove_folder(folder)
            raise
        print_endpoints(folder, servers, args.json)
    return 0


def down(args):
    folder = args.dir or remembered_folder()
    if folder is None or not folder.exists():
        print("nothing to stop")
        return 0
    if not (folder / MARKER).exists():
        raise Unusable(f"{folder} was not made by deploy/local/up: left alone")
    with locked(folder):
        for name in args.server or SERVERS:
            server = SERVERS[name](folder)
            began = time.monotonic()
            used = server.stop(signal.Signals[f"SIG{args.signal}"])
            if used:
                print(f"{name:<9} stopped by {used.name} in {time.monotonic() - began:.1f} s")
        if args.server:
            print(f"data      kept in {folder}")
        else:
            stop_watcher(folder)
            remove_folder(folder)
            print(f"data      removed with {folder}")
    return 0


def status(args):
    folder = args.dir or remembered_folder()
    servers = [server for make in SERVERS.values() if folder and (server := make(folder)).has_ports()]
    answers = {server.name: server.process() is not None and server.answers() for server in servers}
    if args.json:
        report = {server.name: server.description() | {"answers": answers[server.name]} for server in servers}
        print(json.dumps({"dir": str(folder) if servers else None} | report))
    elif not servers:
        print("no servers here: deploy/local/up starts them")
    else:
        for server in servers:
            running = server.process()
            state = "stopped" if running is None else "answers" if answers[server.name] else "DOES NOT ANSWER"
            print(f"{server.name:<9} {server.endpoint()}  pid {running.pid if running else '-'}  {state}")
        print(f"data      {folder}")
    return 0 if servers and all(answers.values()) else 1


def fetch(args):
    for name in args.server or DEFAULT:
        for part in SERVERS[name].fetch():
            print(f"{name:<9} {part}")
    return 0


def watch(args):
    """Lives as long as its parent or the folder, whichever ends first, and cleans up after the parent."""
    told_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: told_to_stop.append(True))
    parent = Process(args.parent, args.parent_ticks)
    while (args.dir / MARKER).exists() and parent.is_alive() and not told_to_stop:
        time.sleep(1)
    with contextlib.suppress(FileNotFoundError), locked(args.dir):
        for make in SERVERS.values():
            make(args.dir).stop(signal.SIGKILL)  # nobody will read these data again
        remove_folder(args.dir)
    return 0


# --- The two JVM servers -------------------------------------------------------------------------------------------------


class Kafka(Server):
    """One node that is broker and controller. Topics are made through the admin API only."""

    name = "kafka"
    endpoint_key = "bootstrap"

    @staticmethod
    def fetch():
        return [parts.java_17(), parts.kafka_libs()]

    def endpoint(self):
        return f"127.0.0.1:{self.ports()[0]}"

    def by_hand(self):
        tool = "org.apache.kafka.tools.TopicCommand"
        return f"topics    java -cp '{parts.kafka_libs()}/*' {tool} --bootstrap-server {self.endpoint()} --list"

    def prepare(self, jvm):
        port, controller_port = self.ports()
        properties = self.write_properties(port=port, controller_port=controller_port)
        log4j2 = f"-Dlog4j2.configurationFile={HERE / 'kafka-log4j2.properties'}"
        java = [str(parts.java_17()), *jvm, log4j2, "-cp", f"{parts.kafka_libs()}/*"]
        if not (self.home / "data" / "meta.properties").exists():
            # A first byte of 0 gives a first letter A: an id that begins with a dash would be read as an option.
            cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
            tool = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
            run_quietly(tool, "formatting Kafka's data folder")
        return [*java, "kafka.Kafka", str(properties)], {}

    def answers(self):
        """A Metadata request (version 5, all topics) over the wire: true when the broker names itself as alive."""
        port = self.ports()[0]
        request = struct.pack(">hhihi?", 3, 5, 1, -1, -1, False)  # key, version, correlation, no client, all, no create
        with contextlib.suppress(OSError, struct.error):
            with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN_S) as broker:
                broker.sendall(struct.pack(">i", len(request)) + request)
                with broker.makefile("rb") as stream:
                    (length,) = struct.unpack(">i", stream.read(4))
                    response = stream.read(length)
            correlation, _throttle_ms, brokers, _node, host_length = struct.unpack_from(">iiiih", response)
            return (correlation, brokers) == (1, 1) and struct.unpack_from(">i", response, 18 + host_length)[0] == port
        return False

    def prove(self):
        """The answer with the broker in it is proof enough."""


class Registry(Server):
    """Apicurio behind Confluent's API, with its data in an H2 file."""

    name = "registry"
    endpoint_key = "url"
    api = "/apis/ccompat/v7"

    @staticmethod
    def fetch():
        return [parts.java_21(), parts.registry_jar()]

    def endpoint(self):
        return f"http://127.0.0.1:{self.ports()[0]}{self.api}"

    def by_hand(self):
        return f"schemas   curl {self.endpoint()}/subjects"

    def prepare(self, jvm):
        properties = self.write_properties(port=self.ports()[0])
        command = [str(parts.java_21()), *jvm, "-jar", str(parts.registry_jar())]
        return command, {"QUARKUS_CONFIG_LOCATIONS": str(properties)}

    def request(self, method, path, body=None, within_s=ANSWER_WITHIN_S):
        """Status and parsed body. By http.client: urllib would send loopback through a proxy of the environment."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports()[0], timeout=within_s)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
            connection.request(method, self.api + path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            return self.request("GET", "/subjects")[0] == 200
        return False

    def prove(self):
        """Registers a schema, reads it back by its id and takes the subject away; what stays is one used id."""
        subject = f"/subjects/tripline-ready-{os.getpid()}"
        schema = {"type": "record", "name": "Ready", "fields": []}
        registered = self.expect_200("POST", f"{subject}/versions", {"schema": json.dumps(schema)})
        read = self.expect_200("GET", f"/schemas/ids/{registered['id']}")
        if json.loads(read["schema"]) != schema:
            raise Failed(f"registry: schema {registered['id']} came back as {read}")
        self.expect_200("DELETE", subject)
        self.expect_200("DELETE", f"{subject}?permanent=true")

    def expect_200(self, method, path, body=None):
        code, answer = self.request(method, path, body, PROVE_WITHIN_S)
        if code != 200:
            raise Failed(f"registry: {method} {path} was answered {code} {answer}. The end of its log:\n{self.log_tail()}")
        return answer


SERVERS = {"kafka": Kafka, "registry": Registry, "postgres": Postgres}
DEFAULT = ["kafka", "registry"]


def wait_until_ready(servers, parent):
    deadline = time.monotonic() + READY_WITHIN_S
    waiting = list(servers)
    while waiting:
        for server in list(waiting):
            if server.process() is None:
                raise Failed(f"{server.name} ended while starting. The end of its log:\n{server.log_tail()}")
            if server.answers():
                server.prove()
                waiting.remove(server)
            elif time.monotonic() > deadline:
                raise Failed(f"{server.name}: no answer in {READY_WITHIN_S} s. The end of its log:\n{server.log_tail()}")
        if parent and not parent.is_alive():
            raise Failed(f"process {parent.pid} (--parent) has gone")
        time.sleep(0.05 if waiting else 0)


def print_endpoints(folder, servers, as_json):
    if as_json:
        print(json.dumps({"dir": str(folder)} | {server.name: server.description() for server in servers}))
        return
    for server in servers:
        print(f"{server.name:<9} {server.endpoint()}  pid {server.process().pid}")
    for server in servers:
        print(server.by_hand())
    print(f"data      {folder}  (deploy/local/down stops all and removes it)")


# --- The watcher -----------------------------------------------------------------------------------------------------


def parent_process(pid):
    if pid is None:
        return None
    parent = Process.of(pid)
    if parent is None:
        raise Unusable(f"--parent {pid}: there is no such process")
    return parent


def start_watcher(folder, parent):
    stop_watcher(folder)
    command = [sys.executable, __file__, "watch", "--dir", str(folder)]
    command += ["--parent", str(parent.pid), "--parent-ticks", str(parent.start_ticks)]
    launch(command, folder / "watcher", Path(os.devnull), {})


def stop_watcher(folder):
    watcher = Process.recorded(folder / "watcher")
    if watcher:
        watcher.end(signal.SIGKILL, STOP_WITHIN_S)


# --- Folders ---------------------------------------------------------------------------------------------------------


def claim_folder(wanted, parent):
    """The folder to use and whether it is new. Without --dir: the remembered one; for a parent a new one, not
    remembered, since it is the parent's and not the user's."""
    if wanted is None and parent is None:
        wanted = remembered_folder()
    folder = wanted or Path(tempfile.mkdtemp(prefix="tripline-servers-"))
    if not re.fullmatch(r"[\w/.+@-]+", str(folder), re.ASCII):
        raise Unusable(f"{folder}: in a data folder's name only letters, digits and /._+@- survive the servers' settings")
    if folder.exists() and not (folder / MARKER).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Unusable(f"--dir {folder}: neither empty nor made by deploy/local/up, and `down` would remove it")
    if wanted is None and parent is None:
        state_file().parent.mkdir(parents=True, exist_ok=True)
        state_file().write_text(str(folder))
    is_new = not (folder / MARKER).exists()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    return folder, is_new


@contextlib.contextmanager
def locked(folder):
    with open(folder / MARKER, "r+") as marker:
        fcntl.flock(marker, fcntl.LOCK_EX)
        if not (folder / MARKER).exists():
            raise FileNotFoundError(f"{folder} was removed meanwhile")
        yield


def remove_folder(folder):
    shutil.rmtree(folder)
    with contextlib.suppress(FileNotFoundError):
        if state_file().read_text() == str(folder):
            state_file().unlink()


def state_file():
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "tripline" / "local-servers"


def remembered_folder():
    with contextlib.suppress(FileNotFoundError):
        folder = Path(state_file().read_text())
        return folder if (folder / MARKER).exists() else None
    return None


# --- The command line ------------------------------------------------------------------------------------------------


def parse_arguments(words):
    parser = argparse.ArgumentParser(prog="deploy/local", description="Real Kafka, schema registry and Postgres on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        (up, "start, and come back when real requests are answered"),
        (down, "stop; without a server's name also remove the data"),
        (status, "show each server; exit code 1 if one does not answer"),
        (fetch, "only fetch the pinned parts into the cache"),
        (watch, "used by up --parent"),
    ):
        sub = commands.add_parser(command.__name__, prog=f"deploy/local/{command.__name__}", description=text, help=text)
        sub.set_defaults(run=command)
        if command in (up, down, fetch):
            default = "all" if command is down else "kafka and registry"
            help = f"kafka, registry or postgres; default {default}"
            sub.add_argument("server", nargs="*", type=server_name, help=help)
        if command is not fetch:
            sub.add_argument("--dir", type=lambda text: Path(text).absolute(), help="data folder; default: the last one")
        if command in (up, status):
            sub.add_argument("--json", action="store_true", help="one JSON object")
        if command in (up, watch):
            sub.add_argument("--parent", type=int, metavar="PID", help="when it has gone, stop all and remove the data")
        if command is up:
            sub.add_argument("--bench", action="store_true", help="full compiler and 1 GB of heap; starts slower")
        if command is down:
            sub.add_argument("--signal", choices=["TERM", "KILL"], default="TERM", help="the first signal; default TERM")
        if command is watch:
            sub.add_argument("--parent-ticks", type=int)
    return parser.parse_args(words)


def server_name(text):
    if text not in SERVERS:
        raise argparse.ArgumentTypeError(f"{text!r} is no server of ours: {' or '.join(SERVERS)}")
    return text


def end_by_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    args = parse_arguments(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    try:
        return args.run(args)
    except (Unusable, Failed, OSError) as error:
        print(f"deploy/local: {error}", file=sys.stderr)
        return 2 if isinstance(error, Unusable) else 1


if __name__ == "__main__":
    sys.exit(main())
