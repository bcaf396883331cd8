"""What a column means by its name: our own files, three vendors' exports, five languages."""

from __future__ import annotations

import pytest

from models.errors import Invalid
from models.imports.columns import LABELS, SEVERAL, check_mapping, missing, propose, recognise, score

PIPEDRIVE = {
    "Deal - Title": "name",
    "Deal - Value": "amount",
    "Deal - Currency of value": "currency",
    "Deal - Organization": "company",
    "Deal - Contact person": "contact_names",
    "Deal - Owner": "owner",
    "Deal - Stage": "stage",
    "Deal - Pipeline": "pipeline",
    "Deal - Status": "status",
    "Deal - Label": "",
    "Deal - Probability": "",
    "Deal - Expected close date": "expected_close",
    "Deal - Next activity date": "",
    "Deal - Deal created": "created_at",
    "Deal - Won time": "won_at",
    "Deal - Lost time": "lost_at",
    "Deal - Lost reason": "close_reason",
    "Deal - Closed on": "close_date",
    "Deal - Email messages count": "",
    "Deal - Pipedrive System ID": "external_id",
}
HUBSPOT = {
    "Record ID": "external_id",
    "Deal Name": "name",
    "Deal Stage": "stage",
    "Pipeline": "pipeline",
    "Amount": "amount",
    "Close Date": "close_date",
    "Create Date": "created_at",
    "Deal owner": "owner",
    "Last Activity Date": "",
    "Original Source": "",
    "Associated Company": "company",
    "Associated Contact": "contact_names",
    "Date entered stage": "stage_since",
    "Date left stage": "",
}
SALESFORCE = {
    "Opportunity ID": "external_id",
    "Opportunity Name": "name",
    "Account Name": "company",
    "Stage": "stage",
    "Amount": "amount",
    "Probability (%)": "",
    "Close Date": "close_date",
    "Created Date": "created_at",
    "Age": "",
    "Opportunity Owner": "owner",
    "Lead Source": "",
    "Next Step": "next_step",
    "Last Activity": "",
}
SALESFORCE_API = {
    "Id": "external_id",
    "Name": "name",
    "AccountId": "",
    "StageName": "stage",
    "CloseDate": "close_date",
    "CreatedDate": "created_at",
    "OwnerId": "",
    "IsWon": "status",
    "IsClosed": "",
}
PEOPLE = {
    "Person - Name": "name",
    "Person - Email": "emails",
    "Person - Email (Work)": "emails",
    "Person - Phone": "phone",
    "Person - Owner": "",
    "Organization name": "company",
    "Email 2": "emails",
    "Lifecycle Stage": "",
    "Company Domain Name": "domain",
    "Number of emails": "",
    "Job Title": "title",
}
TONGUES = {
    "Bezeichnung;Firma;Phase;Betrag;Währung;Verantwortlich;Erstellt am;Abschlussdatum": "de",
    "Naam;Bedrijf;Fase;Bedrag;Valuta;Eigenaar;Aangemaakt op;Sluitingsdatum": "nl",
    "Nom de l’affaire;Société;Étape;Montant;Devise;Propriétaire;Date de création;Date de clôture": "fr",
    "Nombre del negocio;Empresa;Etapa;Importe;Moneda;Propietario;Fecha de creación;Fecha de cierre": "es",
    "Deal name;Company;Stage;Value;Currency;Owner;Created;Closed": "en",
}
IN_ORDER = ["name", "company", "stage", "amount", "currency", "owner", "created_at", "close_date"]


@pytest.mark.parametrize("export", [PIPEDRIVE, HUBSPOT, SALESFORCE, SALESFORCE_API], ids=["p", "h", "s", "api"])
def test_the_exports_of_others_are_recognised(export: dict[str, str]) -> None:
    assert propose("deals", list(export), {})[0] == {column: field for column, field in export.items() if field}


def test_people_of_others_are_recognised() -> None:
    assert propose("contacts", list(PEOPLE), {})[0] == {column: field for column, field in PEOPLE.items() if field}


@pytest.mark.parametrize("line", TONGUES, ids=TONGUES.values())
def test_plain_words_are_recognised_in_five_languages(line: str) -> None:
    mapping, certainty = propose("deals", line.split(";"), {})
    assert [mapping[column] for column in line.split(";")] == IN_ORDER
    assert min(certainty.values()) >= 0.9 and score("deals", line.split(";")) == 8


def test_people_are_recognised_in_five_languages() -> None:
    for line in (
        "Vorname;Nachname;E-Mail-Adresse;Firma",
        "Voornaam;Achternaam;E-mailadres;Bedrijf",
        "Prénom;Nom;Adresse e-mail;Société",
        "Nombre;Apellidos;Correo electrónico;Empresa",
        "First name;Surname;E-mail;Organisation",
    ):
        found = propose("contacts", line.split(";"), {})[0]
        assert [found[column] for column in line.split(";")] == ["first_name", "last_name", "emails", "company"]


@pytest.mark.parametrize("kind", ["deals", "contacts"])
def test_our_own_names_are_certain(kind: str) -> None:
    mapping, certainty = propose(kind, list(LABELS[kind].values()), {})
    assert mapping == {label: field for field, label in LABELS[kind].items()}
    assert set(certainty.values()) == {1.0}


def test_of_two_columns_for_a_field_the_one_that_holds_something_is_taken() -> None:
    facts = {"Organization": {"filled": 0, "addresses": 0}, "Deal - Organization": {"filled": 9, "addresses": 0}}
    assert propose("deals", list(facts), facts)[0] == {"Deal - Organization": "company"}


def test_addresses_are_recognised_by_themselves() -> None:
    facts = {"Who": {"filled": 9, "addresses": 0.95}, "Mail": {"filled": 9, "addresses": 0.0}}
    mapping, certainty = propose("contacts", list(facts), facts)
    assert mapping["Who"] == "emails" and certainty["Who"] < 0.9


def test_a_mapping_by_hand_is_checked() -> None:
    check_mapping("contacts", ["A", "B"], {"A": "emails", "B": "emails"})
    for mapping, word in (
        ({"C": "name"}, "no column"),
        ({"A": "nam"}, "no field"),
        ({"A": "name", "B": "name"}, "both"),
    ):
        with pytest.raises(Invalid, match=word):
            check_mapping("contacts", ["A", "B"], mapping)


def test_what_is_needed_and_not_there_is_one_sentence() -> None:
    assert "e-mail addresses" in missing("contacts", ["Name"], {"Name": "name"})
    assert "'Amount'" in missing("deals", ["Amount"], {"Amount": "amount"})
    assert missing("deals", ["X"], {"X": "company"}) == missing("contacts", ["X"], {"X": "emails"}) == ""


def test_nothing_is_read_into_names_that_say_nothing() -> None:
    for name in ("", "   ", "!!!", "Notes", "Sector", "Number of associated contacts", "Street address", "Email count"):
        assert recognise("contacts", name) == ("", 0.0), name
    assert set(SEVERAL) <= {*LABELS["deals"], *LABELS["contacts"]}
