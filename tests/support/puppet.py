# SPDX-License-Identifier: MIT
# A program that does what a test says, and tells what came of it.
import contextlib
import select
import subprocess

_PROGRAM = """
import concurrent.futures, errno, os, signal, socket, sys
kept = []

def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]

def bind(family, address, port):
    kept.append(socket.socket(family))
    kept[-1].bind((address, port))
    kept[-1].listen()
    return "bound"

def connect(family, address, port):
    kept.append(socket.socket(family))
    kept[-1].connect((address, port))
    return kept[-1].getsockname()[0]

def in_a_thread(call, *arguments):
    with concurrent.futures.ThreadPoolExecutor() as threads:
        return threads.submit(call, *arguments).result()

def take_a_connection():
    accepted = kept[0].accept()[0]
    return accepted.getpeername()[:2], accepted.getsockname()[:2]

print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""
WORDS = ("/usr/bin/python3", "-c", _PROGRAM)
PATIENCE = 10.0  # seconds for an answer


class Puppet:
    def __init__(self, process, said):
        self.process = process
        self._said = said

    @property
    def pid(self):
        return self.process.pid

    def begin(self, expression):
        """Has it do this; answer() waits for what came of it."""
        self.process.stdin.write(f"{expression}\n".encode())
        self.process.stdin.flush()

    def answer(self):
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert readable, f"no answer within {PATIENCE:g} s; {self.stderr()}"
        return self.process.stdout.readline().decode().strip()

    def ask(self, expression):
        self.begin(expression)
        return self.answer()

    def bind(self, family, address, port):
        """ "bound", or the name of the errno."""
        return self.ask(f"attempt(bind, {int(family.af)}, {address!r}, {port})")

    def connect(self, family, address, port):
        """The address it has connected from, or the name of the errno."""
        return self.ask(f"attempt(connect, {int(family.af)}, {address!r}, {port})")

    def stderr(self):
        return self._said.read_text()


@contextlib.contextmanager
def puppet(namespace, directory, *launcher):
    """One that runs meanwhile, as the last words of `launcher`; it ends with its standard input at the latest."""
    said = directory / "puppet.stderr"
    with namespace.enter(), open(said, "wb") as stderr:
        process = subprocess.Popen(
            [str(word) for word in (*launcher, *WORDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
    with process:
        try:
            made = Puppet(process, said)
            assert made.answer() == "ready", made.stderr()
            yield made
        finally:
            process.kill()
