"""Draws the text of a terminal, with its colours, as SVG: `draw.py COLUMNS TITLE <text >picture.svg`."""

import io
import re
import sys

from rich.console import Console
from rich.text import Text

columns, title = int(sys.argv[1]), sys.argv[2]
lines = sys.stdin.read().rstrip().split("\n")
# The prompt that waits for the next command.
if lines[-1].strip() == "$":
    lines.pop()
console = Console(
    record=True,
    width=columns,
    file=io.StringIO(),
    force_terminal=True,
    color_system="truecolor",
    highlight=False,
)
for line in lines:
    console.print(Text.from_ansi(line), no_wrap=True, overflow="crop", crop=True)
svg = console.export_svg(title=title)
# A picture loads nothing from elsewhere. Some viewers drop spaces unless they are told to keep them.
svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
sys.stdout.write(svg)
