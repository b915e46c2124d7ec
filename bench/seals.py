"""What covering receipts by the ledger costs a call: processor time of all threads, per receipt, with it and without.

`python -m bench.seals [--count 4000] [--rounds 7]`. Each round does the same work twice in one process: receipts
are written to the journal and moved into the database in groups of `--group` (what half a second of calls brings), then
covered as every five seconds. It is processor time, not the clock's: it stays nearly the same beside other work.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from intermodel.accounts import open_accounts
from intermodel.ledger import open_ledger
from intermodel.settings import Settings
from intermodel.storage import Database
from tests.accounts.conftest import call, over


async def cost(count, group, sealed):
    """Microseconds a receipt."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Database("", default=folder / "node.db")
        await database.open()
        async with (
            open_ledger(folder, database) as ledger,
            open_accounts(Settings(data=folder), database, folder / "journal", ledger=ledger if sealed else None) as on,
        ):
            told = [over(call()) for _ in range(count)]
            began = time.process_time()
            for first in range(0, count, group):
                for one in told[first : first + group]:
                    await on.receipts.record(one)
                await on.receipts.list(limit=1)  # which moves them
            while on.seals is not None and await on.seals.seal():
                pass
            await ledger.index()
            spent = time.process_time() - began
        await database.close()
    return spent / count * 1e6


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=4000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--group", type=int, nargs="+", default=[10, 100, 1000])
    given = options.parse_args()
    asyncio.run(cost(given.count, 100, sealed=True))
    for group in given.group:
        found = {True: [], False: []}
        for turn in range(given.rounds):
            for sealed in (True, False) if turn % 2 else (False, True):
                found[sealed].append(asyncio.run(cost(given.count, group, sealed)))
        off, on = statistics.median(found[False]), statistics.median(found[True])
        print(
            f"groups of {group}: {off:.1f} us a receipt without, {on:.1f} with: {on - off:+.1f} ({(on / off - 1):+.1%})"
        )


if __name__ == "__main__":
    main()
