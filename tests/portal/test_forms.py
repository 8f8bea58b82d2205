"""The form kit: how numbers are typed, where refusals land, what is done once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.http import QueryDict
from django.utils import translation

from accounts.core.errors import Refused
from aggregator.portal.answering import merged
from aggregator.portal.forms import NumberField, PortalForm, read_number
from aggregator.portal.keeping import opened, sealed
from aggregator.portal.once import digest_of, token_made, token_read
from market.trading.refusals import RowsRefused


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("12,000", "12000"),
        ("１２，０００", "12000"),
        ("1.2万", "12000"),
        ("１２千", "12000"),
        ("1万2千", "12000"),
        ("1万2千500.5", "12500.5"),
        ("1億", "100000000"),
        (" 2 000 ", "2000"),
        ("−5.5", "-5.5"),
        ("ー5", "-5"),
        ("+3", "3"),
        (".5", "0.5"),
    ],
)
def test_numbers_are_read_as_people_here_type_them(typed: str, meant: str) -> None:
    assert read_number(typed) == Decimal(meant)


@pytest.mark.parametrize(
    "typed", ["", "-", "--5", "1.2.3", "abc", "NaN", "Infinity", "1e9", "万", "5-3", "10²"]
)
def test_what_is_no_number_is_never_taken_for_one(typed: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its text is the input
        read_number(typed)


class Offer(PortalForm):
    """A form with a path of its service."""

    places = ((r"curves\[0\]\.quantity", "kw"),)
    kw = NumberField(label="量", unit="kW", digits=1, low=0, high=100, is_trimmed=True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "入力してください。"),
        ("x", "「x」は数として読めません。例：12,000、１２０００、1.2万"),
        ("1.25", "小数は1桁までです。1.25 を丸めて入力してください。"),
        ("-1", "0.0 kW 以上で入力してください。"),
        ("100.1", "100.0 kW 以下で入力してください。"),
    ],
)
def test_a_number_field_says_what_is_wrong_and_the_limit(typed: str, said: str) -> None:
    assert Offer({"kw": typed}).errors == {"kw": [said]}


def test_a_number_is_shown_with_commas_and_text_stays_as_typed() -> None:
    assert 'value="12,000"' in str(Offer(initial={"kw": Decimal("12000.0")})["kw"])
    assert 'value="1.2万"' in str(Offer({"kw": "1.2万"})["kw"])


def test_a_refusal_lands_at_its_field_in_the_pages_language() -> None:
    refused = Refused(field="curves[0].quantity", value="5", rule="required")
    for language, said in (("ja", "5：必要な項目です"), ("en", "5: required")):
        form = Offer({"kw": "5"})
        with translation.override(language):
            form.refuse(refused)
            assert form.errors["kw"] == [said]


def test_all_refusals_of_rows_are_shown_those_without_a_field_at_the_top() -> None:
    form = Offer({"kw": "5"})
    form.refuse(
        RowsRefused(
            [
                Refused(field="curves[0].quantity", value="", rule="required"),
                Refused(field="elsewhere[3]", value="", rule="required"),
            ]
        )
    )
    assert list(form.errors) == ["kw", "__all__"]


def test_a_token_is_ours_or_none() -> None:
    token = token_read(token_made(7))
    assert token is not None
    assert token.user_id == 7
    assert token_read(token_made(7)[:-1] + "x") is None
    assert token_read("") is None


def test_two_sendings_are_told_apart_by_all_fields_but_the_token() -> None:
    first = digest_of(QueryDict("kw=1&kw=2&form_token=a&csrfmiddlewaretoken=b"))
    assert digest_of(QueryDict("form_token=c&kw=1&kw=2")) == first
    assert digest_of(QueryDict("kw=2&kw=1")) != first
    assert digest_of(QueryDict("kw=1")) != first


def test_a_choice_between_versions_takes_theirs_unless_said() -> None:
    sent = QueryDict(
        "kw=1&ask=2&version=3&version_now=5&merge=1"
        "&theirs-kw=10&pick-kw=mine&theirs-ask=20&pick-ask=theirs"
    )
    assert merged(sent).dict() == {"kw": "1", "ask": "20", "version": "5", "version_now": "5"}


def test_texts_at_rest_cannot_be_read_and_a_lost_key_loses_only_them() -> None:
    box = sealed({"ask": "28.00"})
    assert b"28.00" not in box
    assert opened(box) == {"ask": "28.00"}
    assert opened(box[:-1] + bytes([box[-1] ^ 1])) is None
