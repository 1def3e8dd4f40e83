# SPDX-License-Identifier: MIT
# The processes of `limpid exec`: all that is a program's own stays so, it has no privilege, its children are covered, and
# the death of anybody has an end that is known.
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import subprocess

import pytest
from support import processes, tproxy, traffic
from support.attended import (  # noqa: F401
    AS_NOBODY, EXEC, LISTEN, attendants, foreign, nobody_is_left, public, run_as,
)  # fmt: skip
from support.deadline import eventually
from support.lab import endpoint
from support.limpid import BINARY
from support.puppet import puppet

ONE_CAPABILITY = ("--inh-caps=+net_raw", "--ambient-caps=+net_raw")  # what limpid needs, and no more


# What is the program's own stays so.


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), -signal.SIGTERM),
        (("sh", "-c", "kill -KILL $$"), -signal.SIGKILL),
        (("no-such-program-here",), 127),
        (("/no/such/program",), 127),
        (("/etc/passwd",), 126),
    ],
)
def test_its_end_is_that_of_the_program(lab, words, status):
    done = run_as(lab, *words)
    assert done.returncode == status
    reason = {127: "No such file or directory", 126: "Permission denied"}.get(status)
    assert done.stderr == (f"limpid: exec: {words[0]}: {reason}\n" if reason else "")


def test_its_words_come_to_it_as_they_are(lab):
    words = ["", "[a,b]", "--source", "--", "-x", "a b", "\\", "--help"]
    done = run_as(lab, "/usr/bin/python3", "-c", "import sys; print(sys.argv[1:])", *words)
    assert done.stdout == f"{words}\n"


def test_its_descriptors_environment_and_process_are_its_own(lab, tmp_path):
    def look(*launcher):
        text = "import os; print(sorted(os.listdir('/proc/self/fd')), os.getcwd())"
        text += "; print(os.getppid(), os.getsid(0), os.getpgid(0))"
        environment = {**os.environ, "MARKER": "here"}
        with open(tmp_path / "file", "wb") as inherited:
            command = [*launcher, "/usr/bin/python3", "-c", f"{text}; print(dict(os.environ))"]
            with lab.gateway.enter():
                return subprocess.check_output(
                    [str(word) for word in command],
                    pass_fds=[inherited.fileno()],
                    env=environment,
                    cwd=tmp_path,
                    text=True,
                )

    assert look(*EXEC) == look()
    with lab.gateway.enter():
        with subprocess.Popen([*map(str, EXEC), "sh", "-c", "echo $$"], stdout=subprocess.PIPE) as process:
            assert int(process.stdout.read()) == process.pid


def test_standard_descriptors_that_are_closed_stay_closed(lab):
    text = "import os, socket; print(sorted(os.listdir('/proc/self/fd'))); socket.socket().bind(('192.0.2.1', 9))"
    inside = f"exec 0<&- 2>&-; exec {BINARY} exec -- /usr/bin/python3 -c \"{text}\""
    done = lab.gateway.run("sh", "-c", inside)
    assert done.stdout == "['0', '1']\n"  # the first of which is the listing's own


def test_what_reads_its_output_does_not_wait_for_the_attendant(lab, public):
    until = public / "until"  # somebody has it open no longer
    os.mkfifo(until)
    until.chmod(0o666)
    with open(until, "r+b", buffering=0):
        run_as(lab, "sh", "-c", f"(exec >&- 2>&- <{until}; read line) &")
        assert attendants(lab)
    eventually(lambda: not attendants(lab), what="the end of the attendant")


def test_a_program_has_no_capability_and_gets_no_privilege(lab, tmp_path):
    with puppet(lab.gateway, tmp_path, *AS_NOBODY, *ONE_CAPABILITY, *EXEC) as program:
        status = processes.status(program.pid)
        assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0, 0, 0, 0]
        assert status["NoNewPrivs"] == "1" and status["Uid"].split() == ["65534"] * 4
        (attendant,) = attendants(lab)
        assert int(processes.status(attendant)["CapPrm"], 16) == 1 << 13  # CAP_NET_RAW


def test_one_capability_is_enough_for_limpid(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *AS_NOBODY, *ONE_CAPABILITY, *EXEC) as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
        assert program.stderr() == ""


def test_a_capability_of_the_file_is_enough_too(lab, tmp_path, public, family):
    binary = shutil.copy(BINARY, public / "limpid")
    version_2_effective, net_raw = 0x02000001, 1 << 13  # capabilities(7), linux/capability.h
    os.setxattr(binary, "security.capability", struct.pack("<5I", version_2_effective, net_raw, 0, 0, 0))
    with puppet(lab.gateway, tmp_path, *AS_NOBODY, binary, "exec", "--") as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
        assert int(processes.status(program.pid)["CapPrm"], 16) == 0


def test_where_limpid_is_setuid_the_program_is_its_callers(lab, tmp_path, public, family):
    binary = shutil.copy(BINARY, public / "limpid")
    os.chmod(binary, 0o6755)  # root's, both ids
    with puppet(lab.gateway, tmp_path, *AS_NOBODY, binary, "exec", "--") as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
        status = processes.status(program.pid)
        assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
        assert int(status["CapPrm"], 16) == 0


def test_the_attendant_of_root_keeps_what_it_needs(lab, tmp_path):
    with puppet(lab.gateway, tmp_path, *EXEC):
        (attendant,) = attendants(lab)
        kept = sum(1 << number for number in (10, 12, 13, 19))  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW, SYS_PTRACE
        status = processes.status(attendant)
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == kept
        assert os.getsid(attendant) != os.getsid(0)
        held = processes.descriptors(attendant)
        assert [held.pop(number) for number in (0, 1)] == ["anon_inode:[eventfd]"] * 2
        assert len(held) == 3, held  # standard error, the calls, the program


def test_a_terminal_is_the_programs(lab, family):
    program = f"""
import os, signal, socket
def bind(*_):
    sock = socket.socket({int(family.af)})
    sock.bind(("{foreign(family)}", {LISTEN}))
    print("bound after SIGINT", flush=True)
    os._exit(3)
signal.signal(signal.SIGINT, bind)
print("foreground" if os.tcgetpgrp(0) == os.getpgid(0) else "background", flush=True)
while True: signal.pause()
"""
    with lab.gateway.enter():
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(BINARY, [str(word) for word in (*EXEC, "/usr/bin/python3", "-c", program)])
    said = b""

    def hear(words):
        nonlocal said
        while words not in said:
            assert select.select([terminal], [], [], 10)[0], said
            said += os.read(terminal, 1000)

    hear(b"foreground")
    os.write(terminal, b"\x03")
    hear(b"bound after SIGINT")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    os.close(terminal)


def test_a_stopped_program_goes_on_where_it_was(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *EXEC) as program:
        program.process.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(program.pid, os.WUNTRACED)[1])
        program.begin(f"attempt(bind, {int(family.af)}, {foreign(family)!r}, {LISTEN})")
        program.process.send_signal(signal.SIGCONT)
        assert program.answer() == "bound"


# Its children, and who outlives it.


def test_a_daemon_that_it_leaves_behind_is_attended_to(lab, tmp_path, family):
    tproxy.lead_to(lab, LISTEN)
    address = "0.0.0.0" if family.version == 4 else "::"
    daemon = f"""
import os, socket, sys
if os.fork(): os._exit(5)
os.setsid()
for fd in range(3): os.close(fd)
go = open("{tmp_path}/go").read()  # a fifo: when the first process has gone
sock = socket.socket({int(family.af)})
sock.bind(("{address}", {LISTEN}))
sock.listen()
sock.accept()[0].sendall(b"from a daemon")
"""
    os.mkfifo(tmp_path / "go")
    assert run_as(lab, "/usr/bin/python3", "-c", daemon).returncode == 5
    (attendant,) = attendants(lab)
    (tmp_path / "go").write_text("go")
    eventually(lambda: lab.gateway.run("ss", "-Hltn", f"sport = :{LISTEN}").stdout, what="the daemon's socket")
    assert traffic.receive_all(lab.connect(family)) == b"from a daemon"
    eventually(lambda: not processes.is_alive(attendant), what="the end of the attendant")


def waits_in(pid, number):
    """Whether the process's only thread is in that system call."""
    try:
        return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(number)
    except (FileNotFoundError, ProcessLookupError):
        return False


SYS_BIND = 49


def test_who_is_killed_in_the_middle_of_a_call_leaves_the_others_served(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *EXEC) as program:
        child = int(program.ask("os.fork() or (signal.pause(), os._exit(0))"))
        (attendant,) = attendants(lab)
        os.kill(attendant, signal.SIGSTOP)
        victim = program.ask(f"os.fork() or bind({int(family.af)}, {foreign(family)!r}, {LISTEN})")
        eventually(lambda: waits_in(int(victim), SYS_BIND), what="a bind that waits")
        os.kill(int(victim), signal.SIGKILL)
        os.kill(attendant, signal.SIGCONT)
        assert program.bind(family, foreign(family), LISTEN) == "bound"
        os.kill(child, signal.SIGKILL)


def test_a_program_that_is_killed_in_the_middle_takes_its_attendant_with_it(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *EXEC) as program:
        (attendant,) = attendants(lab)
        os.kill(attendant, signal.SIGSTOP)
        program.begin(f"bind({int(family.af)}, {foreign(family)!r}, {LISTEN})")
        eventually(lambda: waits_in(program.pid, SYS_BIND), what="a bind that waits")
        program.process.kill()
        assert program.process.wait() == -signal.SIGKILL
        os.kill(attendant, signal.SIGCONT)
        eventually(lambda: not processes.is_alive(attendant), what="the end of the attendant")


def test_without_its_attendant_binds_fail_and_what_is_there_goes_on(lab, tmp_path, family):
    tproxy.lead_to(lab, LISTEN)
    address = "0.0.0.0" if family.version == 4 else "::"
    with puppet(lab.gateway, tmp_path, *EXEC) as program:
        assert program.bind(family, address, LISTEN) == "bound"
        (attendant,) = attendants(lab)
        os.kill(attendant, signal.SIGKILL)
        eventually(lambda: not processes.is_alive(attendant), what="its death")
        assert program.bind(family, address, LISTEN + 1) == "ENOSYS"
        program.begin("take_a_connection()")
        client = lab.connect(family)
        assert program.answer() == str((endpoint(client.getsockname()), (family.server, 8080)))


def test_many_bind_at_once_while_some_are_killed(lab, tmp_path, family):
    storm = f"""
import os, signal, socket
def bind_often():
    for _ in range(40):
        with socket.socket({int(family.af)}) as sock: sock.bind(("{foreign(family)}", 0))
children = []
for _ in range(40):
    child = os.fork()
    if child == 0:
        bind_often()
        os._exit(0)
    children.append(child)
for child in children[::4]: os.kill(child, signal.SIGKILL)
ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert all(end in (0, -9) for end in ends), ends
assert [end for number, end in enumerate(ends) if number % 4] == [0] * 30, ends
"""
    done = run_as(lab, "/usr/bin/python3", "-c", storm)
    assert (done.returncode, done.stderr) == (0, "")


# On older kernels.


def test_before_linux_6_9_processes_stand_for_their_threads(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *EXEC) as program:
        (attendant,) = attendants(lab)
        trace = ("strace", "-qq", "-p", attendant, "-o", tmp_path / "trace", "-e", "trace=pidfd_open")
        with lab.gateway.program(*trace, "-e", "inject=pidfd_open:error=EINVAL:when=1+2"):
            eventually(lambda: processes.status(attendant)["TracerPid"] != "0", what="the trace")
            for number in range(3):
                words = f"bind, {int(family.af)}, {foreign(family)!r}, {LISTEN + number}"
                assert program.ask(f"in_a_thread({words})") == "bound"
        traced = (tmp_path / "trace").read_text()
        assert traced.count("EINVAL (Invalid argument) (INJECTED)") == 3
        assert traced.count(f"pidfd_open({program.pid}, 0)") == 3


def test_before_linux_5_19_calls_can_be_interrupted(lab, tmp_path, family):
    trace = ("strace", "-D", "-qq", "-o", tmp_path / "trace", "-e", "trace=seccomp")
    ours = 10  # libseccomp probes the kernel before
    with puppet(lab.gateway, tmp_path, *trace, "-e", f"inject=seccomp:error=EINVAL:when={ours}", *EXEC) as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
    calls = [line for line in (tmp_path / "trace").read_text().splitlines() if line.startswith("seccomp(")]
    refused, accepted = calls[ours - 1 :]
    assert "WAIT_KILLABLE_RECV" in refused and "INJECTED" in refused
    assert "FLAG_NEW_LISTENER, " in accepted


# What is refused.


def test_a_process_whose_descriptors_limpid_may_not_take_is_told_so(lab, tmp_path, family):
    without_ptrace = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    with puppet(lab.gateway, tmp_path, *without_ptrace, *EXEC) as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
    with puppet(lab.gateway, tmp_path, *without_ptrace, *EXEC, *AS_NOBODY) as program:
        for _ in range(3):
            assert program.bind(family, foreign(family), LISTEN) == "EPERM"
        (line,) = program.stderr().splitlines()
        assert line.startswith("limpid: exec: take a socket of a process") and "CAP_SYS_PTRACE" in line


def test_one_in_another_is_refused(lab):
    done = run_as(lab, *EXEC, "true")
    assert done.returncode == 125
    (line,) = done.stderr.splitlines()
    assert "another `limpid exec`" in line


def test_without_the_capability_it_says_what_it_needs(lab):
    done = lab.gateway.run(*AS_NOBODY, *EXEC, "true", check=False)
    assert done.returncode == 125
    (line,) = done.stderr.splitlines()
    assert "CAP_NET_RAW" in line and "setpriv" in line
