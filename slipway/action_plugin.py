"""What every action plugin of Slipway shares: arguments, errors, progress lines."""

from __future__ import annotations

import gc
import inspect
import json
import logging
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.executor.process import worker
from ansible.parsing.vault import EncryptedString
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from slipway import node_program
from slipway.documentation import argument_spec, documented_options
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import end_with_parent, watched_signals
from slipway.locks import News
from slipway.secrets import Secrets
from slipway.waiting import Patience, allowed

_LOG = logging.getLogger("slipway")
_LOG.setLevel(logging.DEBUG)
_LOG.propagate = False


class SlipwayAction(ActionBase):  # type: ignore[misc]
    """An action plugin whose work is one method, run on the controller.

    A subclass defines :meth:`act`; its arguments are what the module of its name documents. An
    argument ``timeout`` has been multiplied by ``slipway_wait_factor`` there.
    An argument ``secrets`` names the variable that has them; there, it is they themselves. A
    SlipwayError raised there becomes the task's failure with its text as the message. The values of
    secrets are masked there and in progress lines. What :mod:`slipway.interrupts` has to be done is
    done when a signal ends the run.
    """

    TRANSFERS_FILES = False

    _secrets = Secrets({})
    _indent = "    "

    is_answer = False
    """Whether what the play says is all that is asked for: it is not told between other news."""

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """The argument specification, by which tasks are validated."""
        action = Path(inspect.getfile(cls.act))
        return argument_spec(documented_options(action.parents[1] / "modules" / action.name))

    @abstractmethod
    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the work and return the task's result (``changed`` and what it found)."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Validate the arguments, act, and turn a SlipwayError into a failed result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=self.arguments())
        # Ansible's strings carry tags; YAML writers and the like want plain ones.
        plain: dict[str, Any] = json.loads(json.dumps(args))
        factor = (task_vars or {}).get("slipway_wait_factor", 1)
        Patience.factor = float(self._templar.template(factor))
        if "timeout" in plain:
            plain["timeout"] = allowed(plain["timeout"])
        # What Ansible has in memory stays, and to look there for garbage takes longer than many a
        # task.
        gc.freeze()
        News.say = self.say
        if worker.current_worker:  # a process of the run's, which nobody could end any more
            end_with_parent()
        trace = self._trace()
        _LOG.addHandler(trace)
        only = self._templar.template((task_vars or {}).get("slipway_answer_only", False))
        if only:
            self.is_answer, self._indent = True, ""
        try:
            if "secrets" in plain:
                found = self._secrets_in(plain["secrets"], task_vars or {})
                plain["secrets"] = self._secrets = Secrets(found)
            with watched_signals():
                result.update(self.act(plain, task_vars or {}))
        except SlipwayError as error:
            result.update(failed=True, msg=self._secrets.redact(str(error)))
        finally:
            _LOG.removeHandler(trace)
            gc.unfreeze()
        return result

    def _secrets_in(self, variable: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What a variable has by name, to the letter; raises SlipwayError for what it cannot have.

        As an argument it would be a template: what looks like one in a password would be filled in,
        and what is wrong with it shown. The variable as a whole may be an expression.
        """
        found = task_vars.get(variable)
        if isinstance(found, str):
            try:
                found = self._templar.template(found)
            except AnsibleError:  # its text may hold a part of a value
                fix = "write names with values, or correct the expression"
                raise SlipwayError(Problem(variable, "cannot be filled in", fix)) from None
        if not isinstance(found or {}, Mapping):
            raise SlipwayError(Problem(variable, "is no mapping", "write names with values"))
        return {
            str(name): _decrypted(f"{variable}.{name}", value)
            for name, value in (found or {}).items()
        }

    def on_node(
        self, name: str, args: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Do the work of the module ``name`` of :mod:`slipway.on_node` there; return its result.

        Raises SlipwayError where it came to no end. What it is given is shown at no verbosity.
        """
        modes = {"check": self.check_mode, "diff": self.diff_mode}
        sent = node_program.program(name, args, modes).encode()
        command = node_program.command(self._interpreters(task_vars))
        done = self._low_level_execute_command(command, in_data=sent)
        host = str(task_vars["inventory_hostname"])
        return node_program.result(host, name, done["rc"], done["stdout"], done["stderr"])

    def _interpreters(self, task_vars: Mapping[str, Any]) -> list[str]:
        """The Python that the inventory or ansible.cfg names, or those that Ansible looks for."""
        named = task_vars.get("ansible_python_interpreter") or constants.INTERPRETER_PYTHON
        python = str(self._templar.template(named))
        if not python.startswith("auto"):
            return [python]
        looked_for = constants.config.get_config_value(
            "INTERPRETER_PYTHON_FALLBACK", variables=task_vars
        )
        return [str(each) for each in looked_for]

    def say(self, *lines: str) -> None:
        """Show lines of progress at once, while the task still runs.

        They are indented, as they belong to a phase; where they are all that a play is run for,
        there is none.
        """
        if not lines:
            return
        # Each display is a message to Ansible's main process.
        Display().display(
            "\n".join(f"{self._indent}{self._secrets.redact(line)}" for line in lines)
        )

    def _trace(self) -> logging.Handler:
        """Shows with -vvv where an exception came from that an app's failure is made of."""
        action = self

        class Trace(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                Display().vvv(action._secrets.redact(self.format(record)))

        return Trace()

    @property
    def run_folder(self) -> Path:
        """A folder of this user's alone that goes when the run ends."""
        return Path(constants.DEFAULT_LOCAL_TMP)

    @property
    def check_mode(self) -> bool:
        """True when nothing may be changed."""
        return bool(self._task.check_mode)

    @property
    def diff_mode(self) -> bool:
        """True when the user asked to see differences."""
        return bool(self._task.diff)


def _decrypted(where: str, value: Any) -> Any:
    """A value as it is, also if Ansible Vault encrypted it by itself."""
    if isinstance(value, Mapping):
        return {str(key): _decrypted(f"{where}.{key}", part) for key, part in value.items()}
    if not isinstance(value, EncryptedString):
        return value
    try:
        return str(value)
    except AnsibleError:
        fix = "give the password with which it was encrypted: docs/secrets.md"
        raise SlipwayError(Problem(where, "cannot be decrypted", fix)) from None
