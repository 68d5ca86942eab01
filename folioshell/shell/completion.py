"""Completion scripts for bash, zsh and fish, made from the parser of the command line."""

from __future__ import annotations

import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Mapping, Sequence

from folioshell.records import NamedTuple

SHELLS = ("bash", "zsh", "fish")


class Offer(NamedTuple):
    """A word of the command line: an action or an option, and what it means.

    Args:
        takes: what stands after an option; empty if nothing does.
    """

    word: str
    meaning: str
    takes: str = ""


#: action -> its options and words; the empty one has the actions, and the options without an action
Words = Mapping[str, Sequence[Offer]]


def offers(parser: ArgumentParser) -> dict[str, list[Offer]]:
    """The words of a parser of the command line."""
    found: dict[str, list[Offer]] = {"": []}
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, _SubParsersAction):
            found[""] += [Offer(one.dest, one.help or "") for one in action._choices_actions]  # noqa: SLF001
            found |= {name: offers(of_action)[""] for name, of_action in action.choices.items()}
        elif action.option_strings:
            takes = str(action.metavar or action.dest) if action.nargs != 0 else ""
            found[""] += [Offer(word, action.help or "", takes) for word in action.option_strings]
        elif action.choices is not None:
            found[""] += [Offer(str(word), action.help or "") for word in action.choices]
    return found


def script_for(shell: str, words: Words) -> str:
    """What a shell evaluates to complete the words of folioshell."""
    makers = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return "\n".join(makers[shell](words)) + "\n"


def _bash(words: Words) -> Iterator[str]:
    yield '# eval "$(folioshell completion bash)"'
    yield "_folioshell() {"
    yield '    local word action="" words="" current="${COMP_WORDS[COMP_CWORD]}"'
    yield from _action_found('"${COMP_WORDS[@]:1:COMP_CWORD-1}"', words)
    yield '    case "$action" in'
    for action, choices in words.items():
        yield f"        {_quoted(action)}) words={_quoted(' '.join(choice.word for choice in choices))} ;;"
    yield "    esac"
    yield '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"; compgen -f -- "$current")'
    yield "}"
    yield "complete -o filenames -F _folioshell folioshell"


def _zsh(words: Words) -> Iterator[str]:
    yield "#compdef folioshell"
    yield '# eval "$(folioshell completion zsh)"'
    yield "_folioshell() {"
    yield '    local word action=""'
    yield "    local -a choices"
    yield from _action_found("${words[2,CURRENT-1]}", words)
    yield '    case "$action" in'
    for action, choices in words.items():
        described = " ".join(_quoted(f"{choice.word}:{choice.meaning}") for choice in choices)
        yield f"        {_quoted(action)}) choices=({described}) ;;"
    yield "    esac"
    yield "    _describe -t words folioshell choices"
    yield "    _files"
    yield "}"
    yield "compdef _folioshell folioshell"


def _action_found(typed: str, words: Words) -> Iterator[str]:
    """The lines of bash and zsh that find the action among the words that were typed."""
    yield f"    for word in {typed}; do"
    yield f'        case "$word" in {"|".join(filter(None, words))}) action="$word"; break ;; esac'
    yield "    done"


def _fish(words: Words) -> Iterator[str]:
    yield "# folioshell completion fish | source"
    for action, choices in words.items():
        when = f"__fish_seen_subcommand_from {action}" if action else "__fish_use_subcommand"
        for choice in choices:
            line = f"complete -c folioshell -n {_quoted(when)} {_fish_word(choice)} -d {_quoted(choice.meaning)}"
            yield f"{line} -r" if choice.takes else line


def _fish_word(choice: Offer) -> str:
    dashes = re.match("-*", choice.word)
    assert dashes is not None
    return f"{('-a', '-s', '-l')[len(dashes[0])]} {_quoted(choice.word[len(dashes[0]) :])}"


def _quoted(text: str) -> str:
    """As one word for all three shells."""
    return "'" + text.replace("\\", "/").replace("'", "’") + "'"
