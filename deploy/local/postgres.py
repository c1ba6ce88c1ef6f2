"""A real Postgres on loopback: the machine's own programs, a cluster of its own below DIR.

Why: the queue's store promises the same over SQLite and Postgres, and a crash of the real server is part of that.
Three things differ from the other servers. It refuses to run as root, so root hands the data folder to another user.
Its backends leave the session of the first process, so after a KILL they are looked for by their working folder.
And TERM would wait for the last client to leave, so a polite end is INT.
"""

import contextlib
import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

import parts
from process import Failed, Process, Unusable, run_quietly
from server import ANSWER_WITHIN_S, PROVE_WITHIN_S, STOP_WITHIN_S, Server

ROLE = "tripline"
USERS_FOR_ROOT = ("postgres", "nobody")  # the first that the machine has
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # /var/run/postgresql is not ours
    "max_connections": "200",  # a test opens a pool for each of several services
    "fsync": "on",  # what was acknowledged must be there after a KILL
    "dynamic_shared_memory_type": "mmap",  # in the data folder, and so removed with it
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Server):
    """One cluster, one superuser, trusted from loopback only."""

    name = "postgres"
    endpoint_key = "url"

    def __init__(self, folder):
        super().__init__(folder)
        self.data = self.home / "data"

    @staticmethod
    def fetch():
        return list(parts.postgres_programs())

    def endpoint(self):
        return f"postgres://{ROLE}@127.0.0.1:{self.ports()[0]}/postgres"

    def by_hand(self):
        return f"queries   {parts.postgres_programs()[1]} {self.endpoint()}"

    def prepare(self, _jvm):
        programs, _psql = parts.postgres_programs()
        self.end_backends()  # of a server that was killed from outside: a new one would refuse to start beside them
        self.open_the_way()
        if not self.data.exists():
            self.make_cluster(programs / "initdb")
        settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        port = ["-p", str(self.ports()[0])]
        return [*as_other_user(), str(programs / "postgres"), "-D", str(self.data), *port, *settings], {"LC_ALL": "C"}

    def make_cluster(self, initdb):
        """Made under another name and then renamed: half a cluster is never taken for a whole one."""
        partial = self.home / "data.partial"
        run_quietly(["rm", "-rf", str(partial)], "removing an interrupted cluster")
        partial.mkdir(mode=0o700)
        if user := other_user():
            os.chown(partial, user.pw_uid, user.pw_gid)
        words = ["--auth=trust", f"--username={ROLE}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [*as_other_user(), str(initdb), f"--pgdata={partial}", *words]
        run_quietly(command, "making Postgres's data folder", cwd=self.home)
        partial.rename(self.data)

    def open_the_way(self):
        """The other user must pass through our folders to its own. Only ours are opened, and only for passing."""
        user = other_user()
        if user is None:
            return
        for folder in (self.home.parent, self.home):
            folder.chmod(folder.stat().st_mode | 0o011)
        if subprocess.run([*as_other_user(), "test", "-x", str(self.home)], cwd="/").returncode != 0:
            raise Unusable(
                f"Postgres does not run as root, and user {user.pw_name} cannot pass through to {self.home}: "
                "choose another --dir"
            )

    def stop(self, first_signal):
        polite = first_signal == signal.SIGTERM
        used = super().stop(signal.SIGINT if polite else first_signal)
        if self.home.exists():
            self.end_backends()
        return used

    def end_backends(self):
        """Ends what a killed server left: its processes, known by their working folder, the small memory segment that
        the system keeps for good, and its lock file. The next server would take the dead one for alive by that file
        for as long as nobody has reaped it; here it is known that none is left."""
        deadline = time.monotonic() + STOP_WITHIN_S
        while backends := working_in(self.data):
            if time.monotonic() > deadline:
                raise Failed(f"processes {backends} of {self.data} survived SIGKILL")
            for pid in backends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        lock_file = self.data / "postmaster.pid"
        remove_segment(lock_file)
        lock_file.unlink(missing_ok=True)

    def query(self, text, within_s=ANSWER_WITHIN_S):
        """The answer in psql's plain form, None if there is none."""
        _folder, psql = parts.postgres_programs()
        # A setting of the user's for other servers must not reach this one.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        command = [str(psql), "--no-psqlrc", "--no-password", "-At", "-v", "ON_ERROR_STOP=1", "-c", text, self.endpoint()]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s
            )
            return done.stdout.strip() if done.returncode == 0 else None
        return None

    def answers(self):
        """A query, and its answer says that it is this server: another may have taken the port."""
        return self.query("show data_directory") == str(self.data)

    def prove(self):
        """A write that is on disk when it comes back; what stays is one used transaction number."""
        write = "create table tripline_ready (n int); drop table tripline_ready; select 1"
        if self.query(write, PROVE_WITHIN_S) is None:
            raise Failed(f"postgres: it answers but cannot write. The end of its log:\n{self.log_tail()}")


def other_user():
    """Whom the server runs as when we are root; None when we are not, and run it as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in USERS_FOR_ROOT:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Unusable(f"Postgres does not run as root, and there is no user {' or '.join(USERS_FOR_ROOT)} here")


def as_other_user():
    """A prefix for a command; setpriv becomes the command, so the process on record stays the same."""
    user = other_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []


def working_in(folder):
    """The live processes with this working folder. Postgres moves there at once, and so does each that it starts."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and os.readlink(entry / "cwd") == str(folder) and Process.of(int(entry.name)):
                found.append(int(entry.name))
    return found


def remove_segment(lock_file):
    """A killed server's segment outlives it, and its data folder. Line 7 of its lock file names it; the system's table
    says who made it: only if that is the dead server, it goes."""
    with contextlib.suppress(OSError):
        lines = lock_file.read_text().splitlines()
        if len(lines) < 7 or not (words := re.fullmatch(r"\s*\d+\s+(\d+)\s*", lines[6])):
            return
        server, segment = lines[0].strip(), words[1]
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        if any(row[1] == segment and row[4] == server and row[6] == "0" for row in rows):
            subprocess.run(["ipcrm", "--shmem-id", segment], capture_output=True, check=False)
