"""Headings of cards in other languages than English."""

from __future__ import annotations

import pytest

from intermodel.records.card import Card, disclosure_of, headings_known
from intermodel.records.card.disclosing import HEADINGS
from intermodel.records.card.languages import FOREIGN, LANGUAGES
from intermodel.records.card.sections import plain
from intermodel.records.disclosure import DISCLOSED


@pytest.mark.parametrize(
    ("heading", "topic"),
    [
        ("## Trainingsdaten", "training_data"),
        ("## Datos de entrenamiento", "training_data"),
        ("## Données d'entraînement", "training_data"),
        ("## Données d\u2019entraînement", "training_data"),
        ("## Dati di addestramento", "training_data"),
        ("## 学習データ", "training_data"),
        ("## 학습 데이터", "training_data"),
        ("## Dados de treinamento", "training_data"),
        ("## Данные для обучения", "training_data"),
        ("## 3. 训练数据", "training_data"),
        ("## بيانات التدريب", "training_data"),
        ("## Modellgröße", "size"),
        ("## ОГРАНИЧЕНИЯ", "limitations"),
    ],
)
def test_sections_are_found(heading: str, topic: str) -> None:
    card = Card.parse(f"# Name\n{heading}\nEtwas, das hier steht.")
    assert disclosure_of(card).told[topic].text == "Etwas, das hier steht."
    assert headings_known(card)


def test_each_heading_is_of_one_topic_and_no_other_english_one() -> None:
    assert set(FOREIGN) <= set(HEADINGS)
    assert set(FOREIGN) <= set(DISCLOSED)
    english = {heading for topic, headings in HEADINGS.items() for heading in headings} - {
        plain(one) for headings in FOREIGN.values() for one in headings
    }
    topics: dict[str, set[str]] = {}
    for topic, headings in FOREIGN.items():
        for heading in headings:
            topics.setdefault(plain(heading), set()).add(topic)
    assert all(len(found) == 1 for found in topics.values()), {k: v for k, v in topics.items() if len(v) > 1}
    assert not english & set(topics)


def test_training_data_and_limits_are_known_in_all_ten() -> None:
    assert len(LANGUAGES) == 10
    assert len(FOREIGN["training_data"]) >= 10
    assert len(FOREIGN["limitations"]) >= 10
