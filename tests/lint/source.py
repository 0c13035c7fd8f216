"""What the lints share: the tree, C text without comments, and how a complaint is said.

A lint is a program of its own: it prints file:line: what is wrong, and its exit status says whether there was any.
"""

import os
import re
import sys

SRC = os.environ.get("SRCDIR") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SRC = os.path.abspath(SRC)
BUILD = os.path.abspath(os.environ.get("BUILDDIR") or os.path.join(SRC, "build"))
complaints = 0


def complain(path, line, text):
    global complaints
    complaints += 1
    print(f"{path}:{line}: {text}")


def done():
    sys.exit(1 if complaints else 0)


def files(folder, *endings):
    """Paths below the source tree, sorted."""
    found = []
    for where, _, names in os.walk(os.path.join(SRC, folder)):
        found += [os.path.relpath(os.path.join(where, name), SRC) for name in names if name.endswith(endings)]
    if not found:
        complain(folder, 0, "there is nothing here to look at")
    return sorted(found)


def text(path):
    with open(os.path.join(SRC, path), encoding="utf-8") as file:
        return file.read()


def lines(path):
    return text(path).splitlines()


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code(path):
    """The lines of a C file with comments, and what stands between quotes, taken out. Numbers stay the same."""
    def blank(token):
        found = token.group(0)
        kept = found[0] + found[0] if found[0] in "\"'" else " "
        return kept + "\n" * found.count("\n")
    return TOKEN.sub(blank, text(path)).splitlines()


def sql_code(path):
    return re.sub(r"--[^\n]*", "", text(path)).splitlines()
