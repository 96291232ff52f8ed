"""A file that is not TOML, told so that its author finds the place and the remedy.

Here: the words for an error of `tomllib`, which by itself names the rule alone. The key of the line is named, and its
value is not: somebody may have written a password there.

    TOMLDecodeError, text -> place of the statement -> its key, the rule, a hint
"""

import re
import tomllib

LONGEST_LINE = 1000
"""Characters of a line that are looked at."""

_AT = re.compile(r"\(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)\s*$")
_STATEMENT = re.compile(r"\s*(?P<key>[A-Za-z0-9_.\"'-]{1,80})\s*=\s*(?P<value>.*)")
_TABLE = re.compile(r"\s*\[+\s*(?P<table>[A-Za-z0-9_.-]{0,80})")
_BARE = re.compile(r"true|false|[+-]?(?:inf|nan)|[+-]?(?:0|[1-9][0-9_]*)|0[xob][0-9A-Fa-f_]+|[+-]?[0-9_]+\.[0-9_]+")
"""A value without quotes that is whole."""

_RULES = (
    ("Expected '='", "a key and its value are written key = value"),
    ("Unescaped", "in \"...\" a backslash is written twice; in '...' it is written once"),
    ("Unclosed array", "the values of an array are separated by commas, and ] ends it"),
    ("Unclosed inline", "} ends the table"),
    ("Invalid initial character", "a table in braces is written in one line"),
    ("Invalid statement", "a line is a table such as [media], or key = value, or a comment that begins with #"),
)


def explained(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The error in a line: the place, the key or table that stands there, the rule of TOML, and a hint."""
    found = _AT.search(str(error))
    rule = str(error)[: found.start()].strip() if found is not None else str(error)
    lines = text.splitlines() or [""]
    number = int(found["line"]) if found is not None and found["line"] else len(lines)
    place = f"line {number}, column {found['column']}" if found is not None and found["line"] else "end of the file"
    line = lines[min(number, len(lines)) - 1][:LONGEST_LINE]
    statement, table = _STATEMENT.fullmatch(line), _TABLE.match(line)
    if statement is not None:
        place += f", key {statement['key']}"
        hint = _hint_of_value(rule, statement["key"], statement["value"].strip())
    elif table is not None:
        place += f", table {table['table']}"
        hint = "a table that stands once is written [name], each of several [[name]]"
    else:
        hint = None
    hint = hint or next((words for start, words in _RULES if rule.startswith(start)), None)
    return f"{place}: {rule}" + (f"; {hint}" if hint else "")


def _hint_of_value(rule: str, key: str, value: str) -> str | None:
    if rule.startswith(("Cannot overwrite", "Cannot mutate")):
        return f"{key} stands twice in its table"
    if rule.startswith(("Illegal character", "Unterminated")):
        return "the quote that ends the text is missing"
    if not value:
        return f"{key} has no value: remove the line to leave it out"
    if value[0] in "“”„‘’«":
        return 'a text is written in straight quotes: "..."'
    if value.lower() in ("true", "false"):
        return "true and false are written in small letters"
    bare = value.split("#", 1)[0].strip()
    if rule.startswith(("Invalid value", "Expected newline")) and value[0] not in "\"'[{":
        is_whole = _BARE.fullmatch(bare) is not None
        return None if is_whole else f'a text is written in quotes ({key} = "..."), a number in digits, the first not 0'
    if rule.startswith("Expected newline"):
        return "nothing but a comment (#) follows a value in its line"
    return None
