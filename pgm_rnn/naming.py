"""Names with arguments, ``mess3(x=0.1, a=0.8)``, as a command line gives them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pgm_rnn.checks import check_name, reject

T = TypeVar("T")


def build(argument: str, text: str, registry: Mapping[str, Callable[..., T]], **given: Any) -> T:
    """What the constructor named in ``text`` makes of the arguments written behind its name.

    Args:
        argument: what the text is called in errors.
        text: ``name`` or ``name(argument=value, ...)``, the values being Python literals or bare words.
        registry: constructors by name in kebab case; underscores are read as hyphens.
        given: arguments that are passed on where the constructor has them, and the text does not say otherwise.

    Raises:
        InputError: listing the known names, or the constructor's arguments.

    Example:
        >>> build("process", "made-up(3, base=2)", {"made-up": lambda n, base=10: base**n})
        8
        >>> build("model", "net(cell=gru)", {"net": lambda cell: cell})
        'gru'
    """
    match = re.fullmatch(r"\s*([\w-]+)\s*(\(.*\))?\s*", text, re.DOTALL)
    if match is None:
        raise reject(argument, "a name like mess3 or mess3(x=0.1, a=0.8)", repr(text))
    name = check_name(argument, match[1].replace("_", "-"), registry)
    constructor = registry[name]
    signature = inspect.signature(constructor)
    positional, keywords = _literals(argument, text, match[2] or "()")
    try:
        written = signature.bind_partial(*positional, **keywords).arguments
        fitting = {key: value for key, value in given.items() if key in signature.parameters and key not in written}
        bound = signature.bind(*positional, **{**fitting, **keywords})
    except TypeError as error:
        raise reject(argument, describe(name, constructor), f"{text!r} ({error})") from None
    return constructor(*bound.args, **bound.kwargs)


def describe(name: str, constructor: Callable[..., object]) -> str:
    """A constructor's name with its arguments and their defaults.

    >>> describe("made-up", lambda n, base=10: base**n)
    'made-up(n, base=10)'
    """
    parameters = inspect.signature(constructor).parameters.values()
    return f"{name}({', '.join(str(p.replace(annotation=p.empty)) for p in parameters)})"


def _literals(argument: str, text: str, arguments: str) -> tuple[list[Any], dict[str, Any]]:
    """The values in a text like ``(1, base=2)``; nothing is evaluated."""
    try:
        call = ast.parse(f"name{arguments}", mode="eval").body
        if not isinstance(call, ast.Call) or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError
        positional = [_value(node) for node in call.args]
        return positional, {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise reject(argument, "numbers, strings or lists as arguments", repr(text)) from None


def _value(node: ast.expr) -> Any:
    """A literal, or a bare word as the string that it spells: a shell leaves ``cell=gru`` as it is."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
