"""The first process of the container: keeps Patroni alive over a PostgreSQL that outlives it.

Patroni as the first process would take PostgreSQL with it whenever it ends. Here PostgreSQL is
adopted by this process when Patroni goes, and the next Patroni finds it running.

signal   meaning
TERM     stop: Patroni stops PostgreSQL (and gives up leadership first); in maintenance mode it
         leaves PostgreSQL alone, and this process stops it
HUP      reload patroni.yml
USR1     end Patroni and start it anew; PostgreSQL goes on only in maintenance mode

When Patroni ends unasked while PostgreSQL runs, it is started again at once. If it cannot be kept
alive, nobody renews the leader's lease, another node becomes the primary, and this PostgreSQL
must not go on as a second one: it is stopped after FENCE seconds, which is before the shortest
lease runs out, and the container ends with an error. (Not in maintenance mode, in which Patroni
guards nothing anyway.) A Patroni that hangs without ending is not noticed here.

When Patroni ends unasked and no PostgreSQL runs, there is nothing to protect: the container ends
with the same status, and whoever supervises it sees that.
"""

import json
import os
import signal
import sys
import time

# A lease lasts 20 s at least and is up to 5 s old (loop_wait) when Patroni dies.
FENCE = 12.0
# A fast shutdown writes a checkpoint; when fencing there is no time for it.
FENCE_STOP = 2.0
# PostgreSQL kills what is left of it 5 s after an immediate shutdown began.
AT_ONCE = 8.0
# A Patroni that ran for this long had started properly.
SETTLED = 10.0
# Between two attempts to start it.
PAUSE = 1.0
# Less than the 120 s after which the container is killed.
GRACE = 100.0

HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD}


def say(text):
    print(f"supervisor: {text}", file=sys.stderr, flush=True)


def children():
    """The processes whose parent is this one, as (pid, name, command line)."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended meanwhile
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            yield int(entry), name, words


def postmaster():
    """The running postmaster as (pid, data directory), or None. Backends call themselves
    `postgres: ...` and are the postmaster's children unless it was killed."""
    for pid, name, words in children():
        if name == "postgres" and not words[0].startswith("postgres:") and "-D" in words[:-1]:
            return pid, words[words.index("-D") + 1]
    return None


def in_maintenance(data_dir):
    """Whether the cluster was in maintenance mode when Patroni last wrote its configuration."""
    try:
        with open(os.path.join(data_dir, "patroni.dynamic.json"), encoding="utf-8") as file:
            return json.load(file).get("pause") is True
    except (OSError, ValueError):
        return False


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Supervisor:
    def __init__(self, command):
        self.command = command
        self.patroni = None
        self.started = 0.0
        self.failing_since = None
        self.start_at = 0.0
        self.restart_asked = False
        self.stop_by = None

    def start(self):
        self.patroni = os.posix_spawn(
            self.command[0], self.command, os.environ, setsigmask=[], setsigdef=HANDLED
        )
        self.started = time.monotonic()
        say(f"Patroni started as process {self.patroni}")

    def run(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        self.start()
        while True:
            caught = signal.sigtimedwait(HANDLED, 0.5)
            if caught is not None:
                self.on_signal(caught.si_signo)
            for pid, status in self.reap():
                if pid == self.patroni:
                    self.patroni = None
                    self.on_patroni_end(os.waitstatus_to_exitcode(status))
            self.on_time()

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            yield pid, status

    def on_signal(self, number):
        if number in (signal.SIGTERM, signal.SIGINT):
            if self.stop_by is None:
                say("stopping")
                self.stop_by = time.monotonic() + GRACE
                if self.patroni is None:
                    self.finish(0, GRACE)
                send(self.patroni, signal.SIGTERM)
        elif number == signal.SIGHUP and self.patroni is not None:
            send(self.patroni, signal.SIGHUP)
        elif number == signal.SIGUSR1 and self.patroni is not None:
            say("restarting Patroni")
            self.restart_asked = True
            send(self.patroni, signal.SIGTERM)

    def on_patroni_end(self, code):
        say(f"Patroni ended with status {code}")
        now = time.monotonic()
        if self.stop_by is not None:
            self.finish(0, self.stop_by - now)
        self.end_helpers()
        if self.restart_asked:
            self.restart_asked = False
            self.start_at = now
            return
        if postmaster() is None:
            self.finish(code if code > 0 else 1, 0)
        if self.failing_since is None or now - self.started >= SETTLED:
            self.failing_since = now
            self.start_at = now
        else:
            self.start_at = now + PAUSE

    def end_helpers(self):
        """Ends what Patroni left running besides PostgreSQL: a copy of the primary, say, that the
        next Patroni would start a second time into the same directory."""
        for pid, name, _ in children():
            if name != "postgres":
                say(f"ending {name}, process {pid}")
                send(pid, signal.SIGKILL)

    def on_time(self):
        now = time.monotonic()
        if self.stop_by is not None and now >= self.stop_by and self.patroni is not None:
            say("Patroni does not stop; killing it")
            send(self.patroni, signal.SIGKILL)
            return
        if self.patroni is not None:
            if now - self.started >= SETTLED:
                self.failing_since = None
            return
        if self.must_fence(now):
            say("Patroni cannot be kept alive; stopping PostgreSQL before its lease runs out")
            self.finish(1, FENCE_STOP)
        if now >= self.start_at:
            self.start()

    def must_fence(self, now):
        if self.failing_since is None or now - self.failing_since < FENCE:
            return False
        running = postmaster()
        return running is not None and not in_maintenance(running[1])

    def finish(self, code, seconds):
        """Stops PostgreSQL if it runs, fast and after `seconds` at once, and exits; what runs
        even then ends with this process, the first of the container."""
        deadline = time.monotonic() + max(seconds, 0.0)
        running = postmaster()
        if running is not None:
            say("stopping PostgreSQL")
            send(running[0], signal.SIGINT)
        hurried = False
        while running is not None:
            signal.sigtimedwait({signal.SIGCHLD}, 0.2)
            list(self.reap())
            running = postmaster()
            if running is not None and not hurried and time.monotonic() >= deadline:
                say("PostgreSQL takes too long; stopping it at once")
                send(running[0], signal.SIGQUIT)
                hurried = True
                deadline += AT_ONCE
            elif running is not None and time.monotonic() >= deadline:
                break
        sys.exit(code)


if __name__ == "__main__":
    Supervisor(sys.argv[1:]).run()
