"""`tabcompletion`: a script for bash and zsh that completes commands, options, stages, tasks, jobs and files.

Not here: what the commands are (`main`).
"""

from __future__ import annotations

from typing import Any

from doit.cmd_completion import TabCompletion as DoitTabCompletion

from mediabuild.commands.help import WITHOUT_EFFECT, of_command
from mediabuild.reporting.console import program, show
from mediabuild.schedule.loader import PipelineLoader

INIT_OPTIONS = "--example --help"
# `:` is part of a task's name; jobs are read off the tasks, which are listed when they are asked for
SCRIPT = """# eval "$({program} tabcompletion)"
if [ -n "$ZSH_VERSION" ]; then autoload -U +X bashcompinit && bashcompinit; fi
COMP_WORDBREAKS=${{COMP_WORDBREAKS//:}}
_mediabuild_tasks() {{ $program list -q "$@" 2>/dev/null | sed 's/ *$//'; }}
_mediabuild() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} program=${{COMP_WORDS[0]}} options words
    local IFS=$'\n'  # names may hold spaces
    COMPREPLY=()
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    if [[ $before == --job ]]; then
        words=$(_mediabuild_tasks --all | sed -n 's/^[^:]*:\\([^:]*\\).*/\\1/p' | sort -u)
    elif [[ $before == --from || $before == --to || $before == --stages ]]; then
        words=$(_mediabuild_tasks)
    elif [[ $cur == -* ]]; then
        words=${{options// /$IFS}}
    else
        [[ $COMP_CWORD == 1 ]] && words="{commands}"
        words="${{words// /$IFS}}$IFS$(_mediabuild_tasks --all)"
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
    COMPREPLY+=($(compgen -W "$words" -- "$cur"))
}}
complete -o filenames -F _mediabuild mediabuild doit
"""


class TabCompletion(DoitTabCompletion):  # type: ignore[misc]
    """Prints the script; `-s` is taken as doit takes it, one script does for both shells."""

    name = "tabcompletion"
    doc_purpose = 'print a script that completes in bash and zsh: eval "$(mediabuild tabcompletion)"'
    doc_usage = ""
    doc_description = None

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse and execute; `--help` as everywhere."""
        if "-h" in in_args or "--help" in in_args:
            show(of_command(self))
            return 0
        return super().parse_execute(in_args)

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:
        """Print the script; no project is needed."""
        known = {name: self.cmds[name] for name in sorted(self.cmds)}
        cases = [f'        init) options="{INIT_OPTIONS}" ;;']
        others = ((name, kind) for name, kind in known.items() if name != "run")
        cases += [f'        {name}) options="{self._options(kind)}" ;;' for name, kind in others]
        cases.append(f'        *) options="{self._options(known["run"])}" ;;')
        commands = " ".join(["init", *known])
        show(SCRIPT.format(program=program(), cases="\n".join(cases), commands=commands).rstrip())
        return 0

    def _options(self, kind: Any) -> str:
        command = kind(task_loader=PipelineLoader(), cmds=self.init_kwargs["cmds"], config={})
        known = [o for o in command.cmdparser.options if o.name not in WITHOUT_EFFECT and o.long]
        return " ".join([*(f"--{option.long}" for option in known), "--help"])
