"""A call in progress, as those who watch the node see it."""

from __future__ import annotations

import time
from typing import Any

from intermodel.gateway.account import Account
from intermodel.gateway.reply import Reply


def progress_of(account: Account, reply: Reply | None) -> dict[str, Any]:
    """Who asked what when, who answers or is asked now, and how far that is. Nothing of what is said."""
    caller = account.caller
    last = account.answered or (account.attempts[-1] if account.attempts else None)
    return {
        "id": account.id,
        "at": account.at,
        "seconds": time.monotonic() - account.started,
        "caller": {
            "token": caller.token_id,
            "name": caller.name,
            "user": caller.user,
            "organisation": caller.organisation,
        },
        "kind": account.call.kind.value,
        "model": account.call.model,
        "stream": account.call.stream,
        "answering": last.target.address if last is not None else "",
        "attempts": len(account.attempts),
        "first_token_s": last.first_token_s if last is not None else None,
        "tokens": reply.received if reply is not None else 0,
    }
