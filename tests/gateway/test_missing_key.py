"""A deployment whose key is missing: the others are called all the same."""

from __future__ import annotations

from pathlib import Path

import httpx2

from intermodel.settings import Deployment, Route
from tests.support import Running, running, settings_for


def ask(node: Running, model: str) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers)


def test_the_node_starts_and_its_route_goes_on_without_it(tmp_path: Path) -> None:
    deployments = {
        "lost": Deployment(base_url="http://127.0.0.1:9/v1", key_env="A_VARIABLE_THAT_NOBODY_SETS"),
        "echo": Deployment(provider="echo"),
    }
    routes = {"both": Route(candidates=("lost", "echo"))}
    with running(settings_for(tmp_path / "data", deployments=deployments, routes=routes)) as node:
        answered, alone = ask(node, "both"), ask(node, "lost")
        problem = node.node.gateway.registry.declared.problems["lost"]
    assert answered.headers["x-intermodel-model"] == "echo"
    assert (alone.status_code, alone.json()["error"]["code"]) == (503, "deployment_resting")
    assert "A_VARIABLE_THAT_NOBODY_SETS" not in alone.text, "callers are not told where keys are kept"
    assert "A_VARIABLE_THAT_NOBODY_SETS" in problem
