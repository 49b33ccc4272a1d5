"""What is wrong with a setting, in words that say what to write instead."""

from typing import Final

from pydantic_core import ErrorDetails

_WORDS: Final = {
    "bool_parsing": "is neither true nor false; write one of the two",
    "int_parsing": "is not a whole number; write digits alone",
    "int_from_float": "is not a whole number; write digits alone",
    "float_parsing": "is not a number; write digits, with a point before a fraction",
    "finite_number": "is not a finite number; write digits, with a point before a fraction",
    "greater_than": "must be more than {gt:g}; write a larger number",
    "greater_than_equal": "must be at least {ge:g}; write a larger number",
    "less_than": "must be less than {lt:g}; write a smaller number",
    "less_than_equal": "must be at most {le:g}; write a smaller number",
    "literal_error": "must be {expected}; write one of them",
}
"""By pydantic's own type of the error; its context fills in the braces."""


def described(problem: ErrorDetails) -> str:
    """One problem as a line: the variable, the cause and the remedy. Never the value, which may be a secret."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    kind, context = problem["type"], problem.get("ctx", {})
    words = _WORDS[kind].format(**context) if kind in _WORDS else problem["msg"].removeprefix("Value error, ")
    return f"{name.upper()}: {words}" if name else words
