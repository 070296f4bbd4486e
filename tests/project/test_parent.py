"""The parent of all processes, with stand-ins for the web server and the worker."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import Process, wait_until

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.process

SLEEPER = ["sleep", "1000"]

Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(children="…")`: a process whose main thread runs a Parent with these arguments."""
    processes: list[Process] = []

    def start(before: str = "", **arguments: str) -> Process:
        options = ", ".join(f"{name}={value}" for name, value in arguments.items())
        code = (
            "import os, sys; from pathlib import Path\n"
            "from mediahub import parent; from mediahub.parent import Child, Parent, say\n"
            f"parent.BACKOFF_S = (0.01,); {before}\n"
            f"sys.exit(Parent(folder=Path({str(tmp_path)!r}), {options}).run())"
        )
        process = Process(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            log=tmp_path / "parent.log",
            cwd=tmp_path,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()


def children_of(process: Process, count: int) -> list[psutil.Process]:
    def found() -> list[psutil.Process]:
        all_of_them = [
            each for each in psutil.Process(process.pid).children() if each.name() != "python"
        ]
        return all_of_them if len(all_of_them) == count else []

    return wait_until(found, what=f"{count} children run")


def child(name: str, *command: str, **options: object) -> str:
    return f"Child({name!r}, {list(command)!r}, **{options!r})"


def shell(name: str, script: str, **options: object) -> str:
    return child(name, "sh", "-c", script, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_stop_ends_every_child(start: Start, number: signal.Signals) -> None:
    process = start(children=f"[{child('web', *SLEEPER)}, {child('worker', *SLEEPER)}]")
    children_of(process, 2)

    os.kill(process.pid, number)

    assert process.wait() == 0
    assert process.family() == []


@pytest.mark.parametrize("way", ["parent-death signal", "lifeline"])
def test_nothing_is_left_when_the_parent_is_killed(start: Start, way: str) -> None:
    if way == "parent-death signal" and sys.platform != "linux":
        pytest.skip("Linux has the signal")
    before = f"parent.PARENT_DEATH_SIGNAL = {way != 'lifeline'}"
    process = start(before, children=f"[{child('a', *SLEEPER)}, {child('b', *SLEEPER)}]")
    wait_until(
        lambda: [each.name() for each in process.family()].count("sleep") == 2,
        what="both children run",
    )

    os.kill(process.pid, signal.SIGKILL)

    process.wait()
    wait_until(lambda: not process.family(), what="nothing is left")


def test_a_stop_by_lifeline_reaches_the_command(start: Start, tmp_path: Path) -> None:
    script = (
        f"trap 'echo told > {tmp_path}/told; exit' TERM; touch {tmp_path}/up; "
        "while :; do sleep .05; done"
    )
    process = start("parent.PARENT_DEATH_SIGNAL = False", children=f"[{shell('web', script)}]")
    wait_until((tmp_path / "up").exists)

    assert process.stop() == 0

    assert (tmp_path / "told").exists()


def test_a_child_that_ends_is_started_again(start: Start) -> None:
    process = start(children=f"[{child('web', *SLEEPER)}, {child('worker', *SLEEPER)}]")
    first, other = children_of(process, 2)

    first.kill()

    def started_again() -> bool:
        now = {each.pid for each in psutil.Process(process.pid).children()}
        return len(now) == 2 and first.pid not in now and other.pid in now

    wait_until(started_again)
    assert "web ended (signal 9, Killed); starting it again in 0.01 s." in process.output()


def test_the_wait_before_a_restart_grows(start: Start) -> None:
    process = start("parent.BACKOFF_S = (.01, .02, 1000)", children=f"[{child('web', 'false')}]")

    wait_until(lambda: "in 1000 s." in process.output())

    waits = [line.rpartition(" in ")[2] for line in process.output().splitlines()]
    assert waits == ["0.01 s.", "0.02 s.", "1000 s."]


def test_a_child_that_does_not_end_is_killed_after_the_grace(start: Start, tmp_path: Path) -> None:
    script = f"trap '' TERM; touch {tmp_path}/up; sleep 1000"
    process = start(children=f"[{shell('web', script)}]", grace="0.2")
    wait_until((tmp_path / "up").exists)

    assert process.stop() == 0

    assert "web did not end in time: killed." in process.output()
    assert process.family() == []


def test_a_second_interrupt_ends_the_grace(start: Start, tmp_path: Path) -> None:
    script = f"trap '' TERM; touch {tmp_path}/up; sleep 1000"
    process = start(children=f"[{shell('web', script)}]", grace="1000")
    wait_until((tmp_path / "up").exists)

    os.kill(process.pid, signal.SIGINT)
    wait_until(lambda: "Stopping" in process.output())
    os.kill(process.pid, signal.SIGINT)

    assert process.wait() == 0
    assert process.family() == []


def test_only_the_child_itself_is_told_to_stop(start: Start, tmp_path: Path) -> None:
    """A queue cluster hangs when its whole group gets the signal."""
    other = f"trap 'touch {tmp_path}/wrong' TERM; touch {tmp_path}/up; while :; do sleep .05; done"
    script = f"(sh -c '{other.replace(chr(39), chr(34))}') & trap 'sleep .2; exit' TERM; wait; wait"
    process = start(children=f"[{shell('worker', script)}]")
    wait_until((tmp_path / "up").exists)

    assert process.stop() == 0

    assert not (tmp_path / "wrong").exists()
    assert process.family() == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone gives orphans to the parent")
def test_what_a_child_leaves_behind_ends_with_the_parent(start: Start, tmp_path: Path) -> None:
    script = f"setsid sleep 1000 & touch {tmp_path}/up; wait"
    process = start(children=f"[{shell('worker', script)}]")
    wait_until((tmp_path / "up").exists)
    wait_until(lambda: "sleep" in {each.name() for each in process.family()})

    assert process.stop() == 0

    assert process.family() == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone gives orphans to the parent")
def test_ended_orphans_are_not_kept(start: Start, tmp_path: Path) -> None:
    """They would fill the table of processes."""
    script = f"(setsid sleep .05 &) ; touch {tmp_path}/up; exec sleep 1000"
    process = start(children=f"[{shell('worker', script)}]")
    wait_until((tmp_path / "up").exists)

    wait_until(lambda: len(psutil.Process(process.pid).children()) == 1)


def test_an_essential_child_that_never_gets_ready_ends_the_whole(start: Start) -> None:
    web = shell("web", "exit 3", essential=True)
    process = start(
        "ready, _ = os.pipe()", children=f"[{child('worker', *SLEEPER)}, {web}]", ready="ready"
    )

    assert process.wait() == 1

    assert process.output().count("web ended (status 3)") == 3
    assert "web cannot start; the reason stands above." in process.output()
    assert process.family() == []


def test_a_child_that_was_ready_is_started_again_for_ever(start: Start) -> None:
    web = "Child('web', ['sh', '-c', f'echo x >&{writer}; exit 3'], [writer], essential=True)"
    process = start(
        "ready, writer = os.pipe()",
        children=f"[{web}]",
        ready="ready",
        on_ready="lambda: say('READY')",
    )

    wait_until(lambda: process.output().count("web ended") > 5)

    assert process.running
    assert process.output().count("READY") == 1


def test_what_comes_first_runs_before_the_others(start: Start, tmp_path: Path) -> None:
    prepare = shell("prepare", f"echo done > {tmp_path}/prepared")
    web = shell("web", f"cp {tmp_path}/prepared {tmp_path}/seen; sleep 1000")
    start(first=f"[{prepare}]", children=f"[{web}]")

    wait_until((tmp_path / "seen").exists)

    assert (tmp_path / "seen").read_text() == "done\n"


def test_nothing_starts_when_what_comes_first_fails(start: Start, tmp_path: Path) -> None:
    web = shell("web", f"touch {tmp_path}/started; sleep 1000")
    process = start(first=f"[{shell('prepare', 'exit 4')}]", children=f"[{web}]")

    assert process.wait() == 4
    assert not (tmp_path / "started").exists()


def test_a_stop_while_preparing_stops(start: Start, tmp_path: Path) -> None:
    prepare = shell("prepare", f"touch {tmp_path}/up; exec sleep 1000")
    web = shell("web", f"touch {tmp_path}/started; sleep 1000")
    process = start(first=f"[{prepare}]", children=f"[{web}]")
    wait_until((tmp_path / "up").exists)

    assert process.stop() == 0

    assert not (tmp_path / "started").exists()
    assert process.family() == []


def test_it_stops_when_the_process_that_started_it_ends(tmp_path: Path) -> None:
    """As under make, whose death by SIGKILL nobody is told of."""
    code = (
        "from pathlib import Path; from mediahub import parent; parent.LOOK_S = .05\n"
        f"parent.Parent(folder=Path({str(tmp_path)!r}), children=[{child('web', *SLEEPER)}],"
        " until_parent_ends=True).run()"
    ).replace("Child(", "parent.Child(")
    (tmp_path / "code.py").write_text(code)
    make = Process(
        ["sh", "-c", f"{sys.executable} code.py; true"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        log=tmp_path / "make.log",
        cwd=tmp_path,
    )
    try:
        wait_until(lambda: "sleep" in {each.name() for each in make.family()})
        os.kill(make.pid, signal.SIGKILL)
        make.wait()
        wait_until(lambda: not make.family(), what="nothing is left")
    finally:
        make.kill()
