"""Spanish that an engine leaves broken: plurals, articles, opening marks."""

from __future__ import annotations

import re

import pytest

from mediabuild.media.translation.spanish import agreeing, opened, pluralised


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("voz", "voces"),
        ("mesa redonda", "mesas redondas"),
        ("mapa de bits", "mapas de bits"),
        ("habitación", "habitaciones"),
        ("lunes", "lunes"),
        ("mes", "meses"),
        ("autobús inglés", "autobuses ingleses"),
        ("país", "países"),
        ("imagen", "imágenes"),
        ("papel", "papeles"),
        ("Dashwood", "Dashwood"),
        ("impresora 3D", "impresoras 3D"),
        ("archivo WAV", "archivos WAV"),
        ("50", "50"),
        ("50%", "50%"),
        ("vitamina C#", "vitaminas C#"),
        ("iPhone", "iPhone"),
    ],
)
def test_spanish_plurals(one: str, many: str) -> None:
    """A phrase is put in the plural up to its preposition; names, acronyms, numbers and symbols stay."""
    assert pluralised(one) == many


@pytest.mark.parametrize(
    ("text", "noun", "feminine", "plural", "expected"),
    [
        ("del {}", "mesa", True, False, "de la {}"),
        ("a la {}", "archivo", False, False, "al {}"),
        ("El {} y un {}", "voz", True, False, "La {} y una {}"),
        ("La {}", "agua", True, False, "El {}"),
        ("un {}", "abeja", True, False, "una {}"),
        ("el {}", "área", True, False, "el {}"),
        ("el viejo {}", "agua", True, False, "la vieja {}"),
        ("al {}", "voces", True, True, "a las {}"),
        ("Algunos {}", "etapas", True, True, "Algunas {}"),
        ("Esto {}", "voz", True, False, "Esta {}"),
        ("el hotel {}", "voz", True, False, "el hotel {}"),
        ("del {}", "C++", True, False, "de la {}"),
    ],
)
def test_articles_are_mended(text: str, noun: str, feminine: bool, plural: bool, expected: str) -> None:
    """Each case of agreement that apertium leaves broken before a word it doesn't know."""
    there = f"<x>{noun}</x>"
    found = agreeing(text.format(there, there), re.escape(there), noun, feminine=feminine, plural=plural)
    assert found == expected.format(there, there)


def test_a_question_is_opened() -> None:
    """Once, behind a quote, and only where it ends the sentence."""
    assert opened("“Dónde?”") == "“¿Dónde?”"
    assert opened("¿Dónde?") == "¿Dónde?"
    assert opened("Aquí!") == "¡Aquí!"
    assert opened("Aquí? No.") == "Aquí? No."
