"""What must hold of every lineage, however strange."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intermodel.records.licences import LICENCES
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.verdict import Outcome, Purpose, verdict

NAMES = [f"n{i}" for i in range(7)]
LICENCE = st.one_of(
    st.none(), st.sampled_from([*LICENCES]), st.sampled_from(["MIT OR GPL-3.0-only", "MIT AND CC-BY-NC-4.0", "what"])
)
NODES = st.fixed_dictionaries(
    {
        name: st.builds(
            Node,
            st.just(name),
            licence=LICENCE,
            declared=LICENCE,
            terms=st.sampled_from([None, None, "openai-terms-2023-03"]),
            multimodal=st.sampled_from([None, True, False]),
        )
        for name in NAMES
    }
)
EDGE = st.builds(Edge, st.sampled_from([*NAMES, "gone"]), st.sampled_from(NAMES), st.sampled_from(How))
GRAPH = st.builds(Graph, NODES, st.lists(EDGE, max_size=14).map(tuple))
PURPOSE = st.sampled_from(Purpose)
PLACE = st.sampled_from(["", "DE", "US", "EU", "KR"])
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
INSIDE = (How.COPY, How.FINE_TUNE, How.ADAPTER, How.MERGE, How.QUANTISE, How.CONVERT, How.PRUNE, How.ADAPTED)


@MANY
@given(GRAPH, PURPOSE, PLACE)
def test_strict_is_never_wider_than_lenient(graph: Graph, purpose: Purpose, place: str) -> None:
    found = verdict(graph, "n0", purpose, place)
    assert found.strict.outcome <= found.lenient.outcome
    assert set(found.lenient.duties) <= set(found.strict.duties)


@MANY
@given(GRAPH, EDGE, PURPOSE, PLACE)
def test_another_ancestor_never_widens(graph: Graph, edge: Edge, purpose: Purpose, place: str) -> None:
    before = verdict(graph, "n0", purpose, place)
    after = verdict(Graph(graph.nodes, (*graph.edges, edge)), "n0", purpose, place)
    assert after.strict.outcome <= before.strict.outcome
    assert after.lenient.outcome <= before.lenient.outcome
    assert set(before.excluded) <= set(after.excluded)
    assert all(after.scale[measure] <= limit for measure, limit in before.scale.items())


@MANY
@given(GRAPH, st.sampled_from(NAMES), PURPOSE, PLACE)
def test_what_becomes_unknown_never_becomes_a_yes(graph: Graph, name: str, purpose: Purpose, place: str) -> None:
    """For the thing itself, and for all that is inside it, there is no yes once a licence is unknown."""
    bare = Graph(dict(graph.nodes) | {name: Node(name)}, graph.edges)
    found = verdict(bare, "n0", purpose, place)
    inside = {"n0"}
    while more := {e.parent for e in graph.edges if e.child in inside and e.how in INSIDE} - inside:
        inside |= more
    if name in inside:
        assert found.strict.outcome in (Outcome.UNKNOWN, Outcome.REFUSE)
        assert found.lenient.outcome in (Outcome.UNKNOWN, Outcome.REFUSE)


@MANY
@given(GRAPH, st.sampled_from(NAMES), PURPOSE, PLACE)
def test_not_knowing_a_licence_is_never_better_than_a_plain_one(
    graph: Graph, name: str, purpose: Purpose, place: str
) -> None:
    plain = Graph(dict(graph.nodes) | {name: replace(Node(name), licence="cc0-1.0")}, graph.edges)
    bare = Graph(dict(graph.nodes) | {name: Node(name)}, graph.edges)
    known, unknown = verdict(plain, "n0", purpose, place), verdict(bare, "n0", purpose, place)
    assert unknown.strict.outcome <= known.strict.outcome
    assert unknown.lenient.outcome <= known.lenient.outcome


@MANY
@given(GRAPH, PURPOSE, PLACE)
def test_the_order_of_edges_decides_nothing(graph: Graph, purpose: Purpose, place: str) -> None:
    turned = Graph(graph.nodes, tuple(reversed(graph.edges)))
    one, other = verdict(graph, "n0", purpose, place), verdict(turned, "n0", purpose, place)
    assert (one.strict.outcome, one.lenient.outcome) == (other.strict.outcome, other.lenient.outcome)


@MANY
@given(GRAPH, PURPOSE)
def test_a_finding_rests_on_reasons(graph: Graph, purpose: Purpose) -> None:
    found = verdict(graph, "n0", purpose)
    for finding in (found.strict, found.lenient):
        assert finding.reasons
        assert finding.certainty
        if finding.outcome is Outcome.ALLOW:
            assert not finding.duties
