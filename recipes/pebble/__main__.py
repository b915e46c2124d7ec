"""`python -m recipes.pebble build|check|evaluate|export`, from the root of the repository."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from recipes.pebble.profile import enter

MODEL = Path("src/intermodel/models/pebble")
RUN = Path("build/pebble")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m recipes.pebble", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in {
        "build": "make corpus, tokenizer, weights and model files; goes on where it was stopped",
        "check": "make the corpus and one segment of training again and compare every bit",
        "evaluate": "answer the held-out items with the model's GGUF and with torch",
        "curve": "answer the items with every fourth checkpoint of a finished run, and draw it",
        "export": "write the model files from a finished run",
    }.items():
        one = verbs.add_parser(verb, help=text, description=text)
        one.add_argument("--run", type=Path, default=RUN, help="folder of the run (default: %(default)s)")
        one.add_argument("--model", type=Path, default=MODEL, help="folder of the model (default: %(default)s)")
        if verb == "check":
            one.add_argument("--segment", type=int, help="the segment to make again (default: a random one)")
    return parser.parse_args()


def main() -> int:
    """Runs one verb under the recipe's profile; the exit code is 0 when it succeeded."""
    arguments = _arguments()
    enter(sys.argv[1:])
    # Only now: these import torch, which reads the profile once, when it is loaded.
    if arguments.verb == "check":
        from recipes.pebble.check import check

        return 0 if check(arguments.run, arguments.model, arguments.segment) else 1
    if arguments.verb == "evaluate":
        from recipes.pebble.evaluate import evaluate

        evaluate(arguments.model)
        return 0
    if arguments.verb == "curve":
        from recipes.pebble.curve import curve

        curve(arguments.run, arguments.model)
        return 0
    from recipes.pebble.build import build, export

    (build if arguments.verb == "build" else export)(arguments.run, arguments.model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
