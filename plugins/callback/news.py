"""What a run shows: its phases, what changed and what is wrong."""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from ansible import constants, context
from ansible.plugins.callback.default import CallbackModule as Default

from slipway.interrupts import end_when_unheard
from slipway.status_line import StatusLine
from slipway.stopwatch import Stopwatch, minutes, table

DOCUMENTATION = r"""
name: news
type: stdout
short_description: Shows the phases of a run, what changed and what is wrong
description:
  - Shows a line for every changed task, failures with all that is known of them, and warnings.
    Hosts with the same change share a line. With C(--diff), the differences follow.
  - A play is a phase. Its line comes before the first of what it has to show; a phase without news
    has none.
  - On a terminal, a line at the end says which task is under way, and for how long.
  - The last lines are the counts of every host, and how long the run took.
  - With C(-v), shows all tasks as the callback C(default) does and, at the end, how long every
    phase took, and the slowest tasks.
  - Leaves out the seconds that a task returns as C(waited).
  - A play with the variable C(slipway_answer_only) has only what its tasks say and change; so has a
    run of only such plays, unless one fails.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  show_tasks:
    description: Show all tasks and the times as with C(-v), but not what every task returned.
    type: bool
    default: false
    env:
      - name: SLIPWAY_SHOW_TASKS
    ini:
      - section: callback_news
        key: show_tasks
author:
  - Slipway
"""

ANSWER_ONLY = "slipway_answer_only"
"""The variable of plays that are run for what their tasks say."""


class Change(NamedTuple):
    """What a task changed, the same on all of some hosts."""

    task: str
    title: str
    foreseen: bool
    diff: str


def _unless_quiet(name: str) -> Callable[..., None]:
    """Ansible's own way to show an event, for all runs but those that show news alone."""
    own = getattr(Default, name)

    @wraps(own)
    def show(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        if not self.quiet:
            own(self, *args, **kwargs)

    return show


class CallbackModule(Default):  # type: ignore[misc]
    """Ansible's events, and the lines that they are worth."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "news"

    quiet = False
    """Whether news alone is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()
        self._phases, self._tasks = Stopwatch(), Stopwatch()
        self._playbooks = self._begun = self._total = 0
        self._heading = ""
        self._answers = True
        self._diff = ""
        self._changes: dict[Change, list[str]] = {}
        self._changed_tasks: set[str] = set()
        self._status: StatusLine | None = None

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        """Take over the options; a quiet run overrules those for tasks without news."""
        super().set_options(*args, **kwargs)
        self.quiet = self._display.verbosity == 0 and not self.get_option("show_tasks")
        if self.quiet:
            self.set_option("display_ok_hosts", False)
            self.set_option("display_skipped_hosts", False)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Count the plays that are to come."""
        if not self._playbooks:
            # Ansible's thread for results ends when it cannot show one, and the run never would.
            end_when_unheard()
            self._display.display = self._after_heading(self._display.display)
            atexit.register(self._end)
        self._playbooks += 1
        self._total += len(playbook.get_plays())
        self._start_status()
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A phase begins."""
        self._tell_changes()
        self._tasks.stop()
        title = play.get_name().strip()
        self._phases.start(title)
        self._begun += 1
        answers = bool(play.get_vars().get(ANSWER_ONLY))
        self._answers = self._answers and answers
        elapsed = minutes(time.monotonic() - self._started)
        heading = f"==> {elapsed} phase {self._begun} of {self._total}: {title}"
        if self.quiet:
            self._play = play
            self._heading = "" if answers else heading
        else:
            super().v2_playbook_on_play_start(play)
            self._display.display(heading)

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        """A task or a handler begins, so the one before has ended on all hosts."""
        self._tell_changes()
        self._tasks.start(task.get_name().strip())
        super()._task_start(task, prefix)

    def _print_task_banner(self, task: Any) -> None:
        """Show a task; in a quiet run that is one that fails, so with its place."""
        super()._print_task_banner(task)
        if self.quiet:
            self._print_task_path(task)

    def v2_on_file_diff(self, result: Any) -> None:
        """Differences; those of a changed task are shown after the line of the change."""
        if self.quiet and not result.is_failed():
            self._diff = self._differences(result)
        else:
            super().v2_on_file_diff(result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task has ended well; ``waited`` are seconds in which there was nothing to do."""
        if waited := result.result.get("waited"):
            self._started += waited
            self._phases.skip(waited)
            self._tasks.skip(waited)
        if not self.quiet:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        if result.result.get("changed"):
            self._note_change(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """An item of a task has ended well."""
        if self.quiet:  # the line of the task names it
            self._handle_warnings_and_exception(result)
        else:
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task has failed."""
        super().v2_runner_on_failed(result, ignore_errors)
        self._end_failure()

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host cannot be reached."""
        super().v2_runner_on_unreachable(result)
        self._end_failure()

    v2_playbook_on_include = _unless_quiet("v2_playbook_on_include")
    v2_playbook_on_no_hosts_matched = _unless_quiet("v2_playbook_on_no_hosts_matched")
    v2_playbook_on_no_hosts_remaining = _unless_quiet("v2_playbook_on_no_hosts_remaining")
    v2_runner_retry = _unless_quiet("v2_runner_retry")
    v2_runner_on_async_poll = _unless_quiet("v2_runner_on_async_poll")
    v2_runner_on_async_ok = _unless_quiet("v2_runner_on_async_ok")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """A playbook is done: the end of the run, unless another one follows."""
        self._tasks.stop()
        self._phases.stop()
        self._end()
        self._heading = ""
        if not self.quiet:
            super().v2_playbook_on_stats(stats)
            self._display.banner("WHERE THE TIME WENT")
            for line in table(self._phases.spans, self._tasks.spans):
                self._display.display(line)
        elif (failed := {*stats.failures, *stats.dark}) or (
            self._playbooks == len(context.CLIARGS["args"]) and not self._answers
        ):
            self._recap(stats, failed)

    def _recap(self, stats: Any, failed: set[str]) -> None:
        """Show the counts of every host, and what became of the run."""
        if not failed:  # which ends with a blank line
            self._display.display("")
        width = max((len(host) for host in stats.processed), default=0)
        for host in sorted(stats.processed):
            of = stats.summarize(host)
            color = constants.COLOR_CHANGED if of["changed"] else constants.COLOR_OK
            self._display.display(
                f"{host:{width}} : ok={of['ok']} changed={of['changed']} "
                f"unreachable={of['unreachable']} failed={of['failures']}",
                color=constants.COLOR_ERROR if host in failed else color,
            )
        foreseen = context.CLIARGS.get("check")
        if count := len(self._changed_tasks):
            hosts = ", ".join(sorted(host for host, times in stats.changed.items() if times))
            changes = "would change" if foreseen else "changed"
            outcome = f"{count} task{'s' * (count > 1)} {changes} something on {hosts}"
        else:
            outcome = "nothing would change" if foreseen else "nothing changed"
        if failed:
            outcome += f"; failed on {', '.join(sorted(failed))}"
        self._display.display(f"After {minutes(time.monotonic() - self._started)}: {outcome}")

    def _note_change(self, result: Any) -> None:
        """Keep what a task changed on a host, until all hosts are through with it."""
        task, outcome = result.task, result.result
        title = self._last_task_name or task.get_name().strip()
        if task.loop and "results" in outcome:
            changed = [each for each in outcome["results"] if each.get("changed")]
            title += f" ({', '.join(str(self._get_item_label(each)) for each in changed)})"
        change = Change(task._uuid, title, task.check_mode, self._diff)
        self._diff = ""
        self._changes.setdefault(change, []).append(self.host_label(result))

    def _tell_changes(self) -> None:
        """Show what the task before has changed."""
        changes, self._changes = self._changes, {}
        # Which host ends first is chance.
        for change, hosts in sorted(changes.items(), key=lambda each: sorted(each[1])):
            self._changed_tasks.add(change.task)
            indent = "" if self._answers else "    "
            what = "would change" if change.foreseen else "changed"
            line = f"{indent}{what}: [{', '.join(sorted(hosts))}] {change.title}"
            self._display.display(line, color=constants.COLOR_CHANGED)
            if change.diff:
                self._display.display(change.diff)

    def _differences(self, result: Any) -> str:
        """The differences of a result as text."""
        outcomes = result.result.get("results") if result.task.loop else None
        return "".join(
            self._get_diff(outcome["diff"])
            for outcome in outcomes or [result.result]
            if outcome.get("diff") and outcome.get("changed")
        )

    def _end_failure(self) -> None:
        """Set what comes after a failure off from it, as headings do where they are shown."""
        if self.quiet:
            self._display.display("")

    def _after_heading(self, show: Callable[..., None]) -> Callable[..., None]:
        """A way to show a line that has the heading of the phase before it, and no status line.

        All lines take it: those of this plugin, Ansible's own, and those of tasks under way, which
        come from their processes to the main one.
        """
        process = os.getpid()

        @wraps(show)
        def display(message: str, *args: Any, **kwargs: Any) -> None:
            if os.getpid() != process:
                show(message, *args, **kwargs)
                return
            with self._display._lock:
                if self._status:
                    self._status.clear()
                if self._heading and not kwargs.get("stderr"):
                    heading, self._heading = self._heading, ""
                    show(heading)
                show(message, *args, **kwargs)

        return display

    def _start_status(self) -> None:
        """Begin to show what is under way where that can be, and questions are not asked."""
        dumb = os.environ.get("TERM") == "dumb"
        if sys.stdout.isatty() and not dumb and not context.CLIARGS.get("step"):
            # Ansible forks under this lock as well.
            lock = self._display._lock
            self._status = StatusLine(sys.stdout.fileno(), self._under_way, lock)
            self._status.start()

    def _under_way(self) -> str:
        """The phase, the task and its seconds."""
        phase, task = self._phases.running, self._tasks.running
        if not phase or not task:
            return ""
        place = f"phase {self._begun} of {self._total}: {phase[0]}"
        return f"{place}: {task[0]}, {task[1]:.0f} s"

    def _end(self) -> None:
        """Leave nothing unsaid and no status line; also when the run is interrupted."""
        self._tell_changes()
        if self._status:
            self._status.stop()
            self._status = None
