"""What a column of a spreadsheet holds, by its name: our own template, the exports of Pipedrive, HubSpot and Salesforce, and
plain words in English, German, Dutch, French and Spanish. Each guess carries how sure it is (0 to 1).

Our own names are the labels below: an export of Dealtrail is read back without a question.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from models.errors import Invalid
from models.imports.cells import plain

KINDS = ("deals", "contacts")
LABELS: dict[str, dict[str, str]] = {
    "contacts": {
        "name": "Name",
        "first_name": "First name",
        "last_name": "Last name",
        "emails": "Email",
        "company": "Company",
        "domain": "Company domain",
        "title": "Title",
        "phone": "Phone",
        "never_log": "Never log",
    },
    "deals": {
        "external_id": "External id",
        "name": "Deal",
        "product": "Product",
        "company": "Company",
        "domain": "Company domain",
        "contact_names": "Contact",
        "contact_emails": "Contact email",
        "owner": "Owner",
        "pipeline": "Pipeline",
        "stage": "Stage",
        "status": "Status",
        "amount": "Amount",
        "currency": "Currency",
        "created_at": "Created",
        "expected_close": "Expected close",
        "close_date": "Close date",
        "won_at": "Won",
        "lost_at": "Lost",
        "stage_since": "In stage since",
        "close_reason": "Reason",
        "next_step": "Next step",
    },
}
"""Every field by kind, with its name in our own files. ``close_date`` is the day of the decision on a closed deal and the
expected one on an open deal."""
SEVERAL = {"emails", "contact_emails", "domain"}
"""Fields that several columns may fill together."""
DATES = {"created_at", "expected_close", "close_date", "won_at", "lost_at", "stage_since"}
_PEOPLE_WORDS = {
    "name": "full name, contact name, contact, person, person name, kontakt, ansprechpartner, vollstandiger name, naam, "
    "volledige naam, contactpersoon, nom complet, nom et prenom, nombre completo, nombre y apellidos, display name",
    "first_name": "given name, forename, vorname, voornaam, prenom, nombre, nombre de pila, firstname",
    "last_name": "surname, family name, nachname, familienname, achternaam, nom, nom de famille, apellido, apellidos, lastname",
    "emails": "e mail, email address, e mail address, mail, emails, mail address, e mail adresse, emailadresse, e mailadres, "
    "emailadres, adresse e mail, adresse email, courriel, correo, correo electronico, direccion de correo, "
    "email work, email home, email other, person email, person email work, work email, additional email addresses, "
    "secondary email, mailadresse, e mail 1 value, email 1, email 2, email 3",
    "company": "company name, organization, organisation, organization name, organisation name, account, account name, firm, "
    "firma, firmenname, unternehmen, bedrijf, bedrijfsnaam, organisatie, societe, entreprise, nom de l entreprise, empresa, "
    "compania, associated company, employer, kunde, klant, client, cliente, person organization, kundenname",
    "domain": "domain, company domain name, website, web site, website url, url, webseite, internetseite, site web, "
    "pagina web, sitio web, homepage, domein, dominio, domaine",
    "title": "job title, position, role, function, funktion, stelle, functie, fonction, poste, cargo, puesto, job, berufstitel",
    "phone": "phone number, telephone, tel, mobile, mobile phone, telefon, telefonnummer, handy, telefoon, telefoonnummer, "
    "telephone mobile, telefono, movil, person phone, phone work, work phone",
    "never_log": "do not log, excluded",
}
_DEAL_WORDS = {
    "external_id": "id, deal id, record id, opportunity id, pipedrive system id, system id, crm id, mql id, lead id, "
    "external identifier, case safe id, vorgangsnummer, auftragsnummer, dealnummer, numero, opportunity number",
    "name": "name, title, deal name, deal title, opportunity, opportunity name, subject, dealname, titel, bezeichnung, "
    "verkaufschance, chance, vorgang, geschaft, naam, verkoopkans, kans, affaire, opportunite, nom, nom de l affaire, "
    "nom de l opportunite, nombre, negocio, oportunidad, nombre del negocio, nombre de la oportunidad, titre, titulo, project",
    "product": "product name, products, produkt, produit, producto, item, service",
    "company": _PEOPLE_WORDS["company"] + ", customer, customer name",
    "domain": _PEOPLE_WORDS["domain"].removesuffix(", dominio, domaine") + ", dominio, domaine",
    "contact_names": "contact person, contact name, contacts, primary contact, associated contact, person, person name, "
    "ansprechpartner, kontakt, kontaktperson, contactpersoon, interlocuteur, contacto, persona de contacto",
    "contact_emails": "email, e mail, contact e mail, contact email address, person email, primary contact email, emails, "
    "contact emails, mail, e mail adresse, adresse e mail, correo electronico, emailadres, email address",
    "owner": "deal owner, opportunity owner, owner name, owner email, owner full name, sales agent, sales rep, salesperson, "
    "sales person, rep, account manager, account executive, assigned to, assigned to user, responsible, zustandig, verantwortlich, "
    "verkaufer, vertriebler, besitzer, eigentumer, inhaber, eigenaar, verkoper, verantwoordelijke, responsable, "
    "proprietaire, commercial, vendeur, propietario, comercial, vendedor, user, sr id",
    "pipeline": "pipeline name, sales pipeline, verkaufspipeline, verkooppipeline, embudo",
    "stage": "deal stage, stage name, opportunity stage, sales stage, phase, verkaufsphase, stufe, vertriebsphase, fase, "
    "dealfase, verkoopfase, etape, etape de vente, phase de vente, etapa, etapa del negocio, fase de venta",
    "status": "deal status, state, zustand, statut, estado, is won",
    "amount": "value, deal value, deal amount, close value, total, price, revenue, wert, betrag, summe, umsatz, volumen, "
    "waarde, bedrag, montant, valeur, prix, importe, valor, monto, cantidad, preis, auftragswert, amount in company currency",
    "currency": "currency of value, deal currency, currency code, currency iso code, wahrung, waehrung, valuta, munt, devise, "
    "monnaie, moneda, divisa, amount currency",
    "created_at": "created at, created on, create date, created date, creation date, deal created, date created, add time, "
    "engage date, opened, open date, start date, first contact date, erstellt, erstellt am, erstellungsdatum, angelegt, "
    "angelegt am, aangemaakt, aangemaakt op, aanmaakdatum, cree, cree le, date de creation, creado, creado el, "
    "fecha de creacion, anlagedatum",
    "expected_close": "expected close date, expected closing, expected close on, forecast close date, "
    "erwarteter abschluss, erwartetes abschlussdatum, voraussichtlicher abschluss, verwachte sluiting, "
    "verwachte sluitingsdatum, date de cloture prevue, cloture prevue, cierre previsto, fecha prevista de cierre, "
    "fecha de cierre prevista, target date",
    "close_date": "closed, closed on, closed at, closed date, closing date, close time, date closed, abschluss, "
    "abschlussdatum, geschlossen am, gesloten, gesloten op, sluitingsdatum, afsluitdatum, cloture, cloture le, "
    "date de cloture, cierre, fecha de cierre, cerrado el, end date",
    "won_at": "won time, won date, won on, won at, date won, gewonnen am, gewonnen op, gagne le, ganado el",
    "lost_at": "lost time, lost date, lost on, lost at, date lost, verloren am, verloren op, perdu le, perdido el",
    "stage_since": "date entered stage, entered stage, last stage change, last stage change date, stage change time, "
    "in phase seit, in fase sinds, stage since",
    "close_reason": "close reason, lost reason, won reason, loss reason, closed lost reason, closed won reason, verlustgrund, "
    "grund, reden, reden van verlies, raison, raison de la perte, motivo, motivo de perdida, reason lost",
    "next_step": "next steps, next action, nachster schritt, naechster schritt, volgende stap, prochaine etape, proximo paso",
}
_WORDS = {"contacts": _PEOPLE_WORDS, "deals": _DEAL_WORDS}
_ENTITY = {
    "contacts": ("person ", "contact ", "kontakt ", "lead "),
    "deals": ("deal ", "opportunity ", "opp ", "lead "),
}
_PARTS = {
    "contacts": (("email", "emails"), ("e mail", "emails"), ("phone", "phone"), ("company", "company")),
    "deals": (("owner", "owner"), ("stage", "stage"), ("amount", "amount"), ("company", "company")),
}
"""Words that say enough when they stand among others; the weakest kind of guess."""
_NOT = (
    "id",
    "has",
    "is",
    "count",
    "number of",
    "activity",
    "last ",
    "probability",
    "label",
    "phonetic",
    "street",
    "address",
    "lifecycle",
)
FAULTS_COLUMNS = ("row", "taken", "what was said")
"""Columns of our own file of faults; it may be mended and imported as it is."""


def simple(header: str) -> str:
    """A column name without case, accents, marks and camel humps."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)
    return " ".join(re.sub(r"[^a-z0-9]+", " ", plain(spaced)).split())


def recognise(kind: str, header: str) -> tuple[str, float]:
    """(field, how sure) of one column name; an empty field when it says nothing to us."""
    words, known = simple(header), _known(kind)
    if words in known:
        return known[words]
    for entity in _ENTITY[kind]:
        if words.startswith(entity) and words.removeprefix(entity) in known:
            field, sure = known[words.removeprefix(entity)]
            return field, round(sure - 0.05, 2)
    bare = re.sub(r" \d$", "", words)
    if bare != words and known.get(bare, ("",))[0] in SEVERAL:
        return known[bare][0], 0.8
    if not any(re.search(rf"\b{word}", f"{words} ") for word in _NOT):
        for part, field in _PARTS[kind]:
            if re.search(rf"\b{part}\b", words):
                return field, 0.5
    return "", 0.0


def score(kind: str, row: Sequence[str]) -> int:
    """How many cells of a row are surely column names."""
    return sum(recognise(kind, cell)[1] >= 0.8 for cell in row if 0 < len(cell) < 60)


def propose(
    kind: str, columns: Sequence[str], facts: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, float]]:
    """(field by column, how sure by column) for a whole sheet: of several columns for one field the surest that is not
    empty. ``facts``: of ``survey``; the share of cells that are e-mail addresses tells where a name does not."""
    guesses = {column: recognise(kind, column) for column in columns}
    mails = "emails" if kind == "contacts" else "contact_emails"
    for column, found in facts.items():
        (field, sure), share = guesses[column], found["addresses"]
        if share > 0.8 and field != "owner" and (not field or field in ("name", "contact_names", "company")):
            guesses[column] = (mails, 0.7)
        elif field == mails and share < 0.2 and sure < 0.9:
            guesses[column] = ("", 0.0)
    mapping: dict[str, str] = {}
    certainty: dict[str, float] = {}
    empty = {column for column, found in facts.items() if not found["filled"]}
    for column in sorted(columns, key=lambda one: (one in empty, -guesses[one][1])):
        field, sure = guesses[column]
        if field and (field in SEVERAL or field not in mapping.values()):
            mapping[column], certainty[column] = field, sure
    return mapping, certainty


def check_mapping(kind: str, columns: Sequence[str], mapping: Mapping[str, str]) -> None:
    """Raises Invalid for a column or a field that there is not, and for a field that two columns claim."""
    for column, field in mapping.items():
        if column not in columns:
            raise Invalid(f"The file has no column {column!r}. It has {_listed(columns)}.", "mapping")
        if field not in LABELS[kind]:
            raise Invalid(f"There is no field {field!r} for {kind}. Known: {', '.join(LABELS[kind])}.", "mapping")
    fields = [field for field in mapping.values() if field not in SEVERAL]
    twice = next((field for field in fields if fields.count(field) > 1), "")
    if twice:
        claimed = [column for column, field in mapping.items() if field == twice]
        raise Invalid(f"{_listed(claimed)} cannot both be {LABELS[kind][twice]!r}; leave one out.", "mapping")


def missing(kind: str, columns: Sequence[str], mapping: Mapping[str, str]) -> str:
    """What is needed and not there, in one sentence; empty when all is well."""
    fields = set(mapping.values())
    if kind == "contacts" and "emails" not in fields:
        return f"No column holds e-mail addresses, which a contact needs. The file has {_listed(columns)}."
    if kind == "deals" and not fields & {"name", "product", "company", "external_id"}:
        return f"No column names the deals: a deal's name, product or company. The file has {_listed(columns)}."
    return ""


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:12])
    return shown + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")


@cache
def _known(kind: str) -> dict[str, tuple[str, float]]:
    """(field, how sure) by simplified name; our own labels first."""
    found = {simple(label): (field, 1.0) for field, label in LABELS[kind].items()}
    for field, words in _WORDS[kind].items():
        for word in words.split(","):
            found.setdefault(simple(word), (field, 0.95))
    return found
