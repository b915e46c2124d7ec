"""Headings of cards in the ten languages that are commonest among them after English. Pure data.

The languages are those whose tags the Hub's models carry most often. A table of usual words, not a translation of the
English list: what is not here is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("ar", "de", "es", "fr", "it", "ja", "ko", "pt", "ru", "zh")

FOREIGN: Mapping[str, tuple[str, ...]] = {
    "architecture": (
        "modellarchitektur", "architektur", "arquitectura del modelo", "arquitectura", "architecture du modèle",
        "architettura del modello", "architettura", "モデルアーキテクチャ", "アーキテクチャ", "모델 아키텍처",
        "모델 구조", "arquitetura do modelo", "arquitetura", "архитектура модели", "архитектура",
        "模型架构", "模型結構", "模型结构", "بنية النموذج",
    ),
    "size": (
        "modellgröße", "anzahl der parameter", "tamaño del modelo", "número de parámetros", "taille du modèle",
        "nombre de paramètres", "dimensione del modello", "モデルサイズ", "パラメータ数", "모델 크기", "매개변수 수",
        "tamanho do modelo", "número de parâmetros", "размер модели", "количество параметров", "模型大小", "参数量",
        "模型规模", "حجم النموذج",
    ),
    "hardware": (
        "trainingshardware", "hardware para el entrenamiento", "hardware de entrenamiento", "matériel",
        "matériel d'entraînement", "hardware di addestramento", "ハードウェア", "학습 하드웨어", "하드웨어",
        "hardware de treinamento", "оборудование", "аппаратное обеспечение", "硬件", "训练硬件", "硬體", "العتاد",
    ),
    "compute": (
        "rechenaufwand", "trainingsdauer", "cómputo", "tiempo de entrenamiento", "temps d'entraînement",
        "durée d'entraînement", "tempo di addestramento", "計算資源", "学習時間", "학습 시간", "tempo de treinamento",
        "вычислительные ресурсы", "время обучения", "计算资源", "训练时间", "وقت التدريب",
    ),
    "training_data": (
        "trainingsdaten", "datensatz", "datensätze", "datos de entrenamiento", "conjunto de datos",
        "données d'entraînement", "jeu de données", "jeux de données", "dati di addestramento", "学習データ",
        "訓練データ", "トレーニングデータ", "データセット", "학습 데이터", "훈련 데이터", "데이터셋",
        "dados de treinamento", "dados de treino", "данные для обучения", "обучающие данные", "датасет",
        "训练数据", "訓練數據", "訓練資料", "数据集", "بيانات التدريب",
    ),
    "training_method": (
        "training", "trainingsverfahren", "entrenamiento", "procedimiento de entrenamiento", "entraînement",
        "procédure d'entraînement", "addestramento", "procedura di addestramento", "学習", "学習方法", "学習手順",
        "訓練手順", "학습", "학습 방법", "훈련 과정", "treinamento", "procedimento de treinamento", "обучение",
        "процесс обучения", "训练", "训练方法", "训练过程", "訓練", "التدريب",
    ),
    "energy": (
        "umweltauswirkungen", "energieverbrauch", "impacto ambiental", "impact environnemental", "impatto ambientale",
        "環境への影響", "환경 영향", "воздействие на окружающую среду", "环境影响", "الأثر البيئي",
    ),
    "risks": (
        "risiken", "verzerrungen", "risiken und einschränkungen", "riesgos", "sesgos", "sesgos y riesgos", "risques",
        "biais", "biais et risques", "rischi", "バイアス", "リスク", "バイアスとリスク", "위험", "편향", "편향 및 위험",
        "riscos", "vieses", "риски", "предвзятость", "风险", "偏见", "偏差与风险", "المخاطر", "التحيز",
    ),
    "limitations": (
        "einschränkungen", "grenzen", "limitaciones", "limitaciones y sesgos", "limites", "limites et biais",
        "limitazioni", "limiti", "制限", "制限事項", "限界", "한계", "제한 사항", "limitações", "limitações e vieses",
        "ограничения", "局限性", "限制", "局限", "القيود",
    ),
    "intended_use": (
        "verwendungszweck", "verwendung", "vorgesehene verwendung", "uso previsto", "usos previstos", "uso",
        "utilisation prévue", "usages prévus", "utilisation", "uso previsto del modello", "utilizzo", "想定される用途",
        "使用目的", "用途", "사용 목적", "용도", "uso pretendido", "usos pretendidos", "предназначение", "применение",
        "предполагаемое использование", "预期用途", "使用范围", "الاستخدام المقصود",
    ),
    "use_policy": (
        "nutzungsrichtlinie", "nutzungsbedingungen", "política de uso", "política de uso aceptable",
        "politique d'utilisation", "politica di utilizzo", "利用規約", "利用ポリシー", "이용 정책",
        "política de uso aceitável", "политика использования", "使用政策", "使用规范", "سياسة الاستخدام",
    ),
}  # fmt: skip
"""Headings by what they tell; they are compared as `plain` writes them."""
