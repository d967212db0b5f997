# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/pg_driver: the engine's verbs one by one, without a daemon."""
import os
import subprocess


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer['code']}: {answer['cause']}")
        self.code = answer["code"]
        self.cause = answer["cause"]
        self.remedy = answer["remedy"]
        self.retry = answer["retry"] == "1"


class Held:
    """A cut that stands before and after its snapshot until step()."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.wait("at: before")

    def wait(self, line):
        while True:
            got = self.process.stdout.readline()
            assert got, self.lines
            self.lines.append(got)
            if got.strip() == line:
                return

    def cut(self):
        self.step()
        self.wait("at: after")

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.step()
        rest, _ = self.process.communicate(timeout=60)
        return finish("".join(self.lines) + rest, self.process.returncode)


def finish(text, status):
    answer = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if status == 1 and "code" in answer:
        raise Refused(answer)
    assert status == 0, (status, text)
    return answer


class Driver:
    def __init__(self, programs, user="postgres", backend="btrfs", type="auto"):
        self.program = os.path.join(os.environ["DBSNAP_BUILDDIR"], "tests", "pg_driver")
        self.programs = programs
        self.user = user
        self.env = dict(os.environ, DRIVER_BACKEND=backend, DRIVER_TYPE=type)

    def run(self, *args, status=None):
        done = subprocess.run([self.program, *args], capture_output=True, text=True, timeout=120,
                              env=self.env)
        assert not done.stderr, done.stderr
        return finish(done.stdout, done.returncode if status is None else status)

    def source(self, data_dir, conninfo):
        return (data_dir, self.user, self.programs, conninfo)

    def check(self, data_dir, conninfo):
        return self.run("check", *self.source(data_dir, conninfo))

    def cut(self, data_dir, conninfo, folder):
        return self.run("cut", *self.source(data_dir, conninfo), folder)

    def held_cut(self, data_dir, conninfo, folder):
        return Held(subprocess.Popen(
            [self.program, "cut", *self.source(data_dir, conninfo), folder, "held"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env))

    def clone(self, image, folder, name):
        return self.run("clone", image, self.user, folder, name)

    def destroy(self, folder, name):
        return self.run("destroy", folder, name)

    def measure(self, folder):
        return int(self.run("measure", folder, self.user)["bytes"])
