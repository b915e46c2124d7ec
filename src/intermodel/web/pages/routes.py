"""The pages' paths, and what stands behind each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from intermodel.engines import Engines
from intermodel.gateway import Gateway
from intermodel.governance import Caller, Tokens
from intermodel.records.store import Records as Known
from intermodel.settings import Settings
from intermodel.web.auth import Auth
from intermodel.web.health import Health
from intermodel.web.pages.budgets import Budgets
from intermodel.web.pages.calls import Calls
from intermodel.web.pages.chat import Chat
from intermodel.web.pages.deployments import Deployments
from intermodel.web.pages.home import Home
from intermodel.web.pages.ledger import LedgerPages
from intermodel.web.pages.listing import Listing
from intermodel.web.pages.models import Models
from intermodel.web.pages.records import Records
from intermodel.web.pages.signin import SignIn
from intermodel.web.pages.spending import Spending
from intermodel.web.pages.static import favicon, static
from intermodel.web.pages.writer import Writer
from intermodel.writer.runs import Runs

View = Callable[[Request, Caller], Awaitable[Response]]


def page_routes(
    settings: Settings, gateway: Gateway, engines: Engines, auth: Auth, tokens: Tokens, health: Health, known: Known
) -> list[BaseRoute]:
    """Every page, with the files they load."""
    listing = Listing(gateway, engines)
    models, chat, signin = Models(settings, listing), Chat(settings.limits, gateway, listing), SignIn(auth)
    return [
        Route("/", _signed_in(auth, Home(listing, engines, health).show)),
        Route("/models", _signed_in(auth, models.show_all)),
        Route("/models/{address:path}", _signed_in(auth, models.show)),
        Route("/chat", _signed_in(auth, chat.show), methods=["GET"]),
        Route("/chat", _signed_in(auth, chat.say), methods=["POST"]),
        *_figures(gateway, auth, tokens),
        *_records(known, auth),
        *_ledger(settings, gateway, known, auth),
        Route("/signin", signin.show, methods=["GET"]),
        Route("/signin", signin.submit, methods=["POST"]),
        Route("/signout", signin.sign_out, methods=["POST"]),
        Route("/static/{version}/{name}", static),
        Route("/favicon.ico", favicon),
    ]


def _figures(gateway: Gateway, auth: Auth, tokens: Tokens) -> list[BaseRoute]:
    """The pages about calls and money."""
    calls, budgets = Calls(gateway, tokens), Budgets(gateway.accounts.budgets, auth)
    spending, deployments = Spending(gateway, tokens), Deployments(gateway, auth)
    return [
        Route("/calls", _signed_in(auth, calls.show_all), methods=["GET"]),
        Route("/calls/{id}", _signed_in(auth, calls.show), methods=["GET"]),
        Route("/spending", _signed_in(auth, spending.show), methods=["GET"]),
        Route("/spending.csv", _signed_in(auth, spending.csv), methods=["GET"]),
        Route("/deployments", _signed_in(auth, deployments.show), methods=["GET"]),
        Route("/deployments", _signed_in(auth, deployments.change), methods=["POST"]),
        Route("/budgets", _signed_in(auth, budgets.show), methods=["GET"]),
        Route("/budgets", _signed_in(auth, budgets.change), methods=["POST"]),
    ]


def _records(known: Known, auth: Auth) -> list[BaseRoute]:
    """The pages about what is known of models."""
    records = Records(known)
    return [
        Route("/records", _signed_in(auth, records.search)),
        Route("/records/compare", _signed_in(auth, records.compare)),
        Route("/records/{address:path}", _signed_in(auth, records.show)),
    ]


def _ledger(settings: Settings, gateway: Gateway, known: Known, auth: Auth) -> list[BaseRoute]:
    """The pages about the signed record itself."""
    ledger = LedgerPages(settings, gateway, known, auth)
    return [
        Route("/ledger", _signed_in(auth, ledger.show_all), methods=["GET"]),
        Route("/ledger/entries/{index}", _signed_in(auth, ledger.show), methods=["GET"]),
        Route("/ledger/predicates/{name}", _signed_in(auth, ledger.predicate), methods=["GET"]),
    ]


def writer_routes(settings: Settings, gateway: Gateway, engines: Engines, auth: Auth, runs: Runs) -> list[BaseRoute]:
    """The pages about drafts that agents write."""
    writer = Writer(runs, gateway, settings, Listing(gateway, engines), auth)
    return [
        Route("/writer", _signed_in(auth, writer.show_all), methods=["GET"]),
        Route("/writer", _signed_in(auth, writer.make), methods=["POST"]),
        Route("/writer/{id}", _signed_in(auth, writer.show), methods=["GET"]),
        Route("/writer/{id}", _signed_in(auth, writer.act), methods=["POST"]),
        Route("/writer/{id}/{file}", _signed_in(auth, writer.file), methods=["GET"]),
    ]


def _signed_in(auth: Auth, view: View) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        caller = await auth.caller(request.scope)
        request.scope["caller"] = caller.token_id
        return await view(request, caller)

    return endpoint
