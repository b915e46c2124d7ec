"""Converts one folder of a Hugging Face model to GGUF. Run by path in a process of its own: nobody has vouched for it.

Takes the folder, the file to write, and how many seconds of processor time and bytes of memory that may cost. Where it
fails, the last line on standard error says why.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    seconds, memory = int(sys.argv[3]), int(sys.argv[4])
    # not RLIMIT_AS: the weights are mapped, and may be larger than all memory
    for limit, amount in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CPU, seconds)):
        resource.setrlimit(limit, (amount, amount))
    try:
        from intermodel.engines.convert import convert  # after the limits above are in force

        convert(folder, out)
    except MemoryError:
        sys.exit(f"it takes more than {memory / 1024**3:.1f} GiB of memory")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
