"""`cmr table`: print the paper's tables beside one's own measurements."""

from __future__ import annotations

from pathlib import Path

from cmr_ros.evaluation.published import NUMBERS, table
from cmr_ros.evaluation.report import markdown, text
from cmr_ros.files.output import write_bytes


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("number", choices=NUMBERS, help="number of the table in the supplement")
    parser.add_argument(
        "--results", type=Path, nargs="+", default=[], metavar="JSON",
        help="what `cmr evaluate --json` wrote: rows of tables 2 and 3",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=Path, nargs="+", default=[], metavar="DIR",
        help="folders of `cmr train`: rows of table 1, averaged for each set of switches",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write Markdown there")


def run(args) -> None:
    """Print the table."""
    made = table(args.number, args.results, args.runs)
    print(text(made))
    if args.output:
        write_bytes(args.output, (markdown(made) + "\n").encode())
