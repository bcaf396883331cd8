"""The door: the only file that knows every room. One command a verb; exit status 0 only when it did what it was asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from settings import SettingsError
from terminal import Json, audit_table, err, fail, out, print_json, team_table, tell_import

app = typer.Typer(
    name="dealtrail",
    help="Every e-mail and meeting leaves its trail on the deal, and nothing gets lost on the way.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
user_app = typer.Typer(help="People who sign in.", no_args_is_help=True)
key_app = typer.Typer(help="API keys and the sealing key.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")


@app.command()
def serve() -> None:
    """Everything in one process: pages, worker, scheduler. Sets the database up by itself on the embedded default."""
    import serving

    serving.serve(web=True, work=True)


@app.command()
def web() -> None:
    """The pages and the API only."""
    import serving

    serving.serve(web=True, work=False)


@app.command()
def work() -> None:
    """The worker and its scheduler only."""
    import serving

    serving.serve(web=False, work=True)


@app.command()
def migrate() -> None:
    """Bring the database up to this version."""
    import house

    house.open_house(check=False).migrate()
    out.print("The database is up to date.")


@app.command()
def demo(
    mail: Annotated[Path | None, typer.Option(help="Your own mail: an mbox, a Maildir or a folder of .eml.")] = None,
    me: Annotated[str, typer.Option(help="Whose mail that is.")] = "",
    live_seconds: Annotated[float, typer.Option(min=0, help="Seconds between two new mails; 0: none.")] = 4.0,
    once: Annotated[bool, typer.Option("--once", help="Stop after the first sync (for scripts).")] = False,
) -> None:
    """A pretend Google and Microsoft with an invented sales team (or your own mail), Dealtrail beside them, in one terminal."""
    import demo as showing

    if (mail is None) != (not me):
        fail("--mail PATH and --me ADDRESS go together.")
    showing.run(mail=mail, me=me, live_seconds=live_seconds, once=once)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is set, what is reachable, what is owed; exit status 1 when something needs a hand."""
    import doctor as examining

    report = examining.examine()
    if as_json:
        print_json(report)
    else:
        for line in report["lines"]:
            out.print(f"{'ok ' if line['ok'] else 'NO '} {line['what']}: {line['text']}", markup=False)
    raise typer.Exit(0 if report["ok"] else 1)


@app.command()
def connect(
    provider: Annotated[str, typer.Argument(help="google | microsoft")],
    emails: Annotated[list[str] | None, typer.Argument(metavar="[EMAIL]...", help="The mailboxes' addresses.")] = None,
    refresh_token_file: Annotated[Path | None, typer.Option(help="File that holds a refresh token for it.")] = None,
    user: Annotated[str, typer.Option(help="Whose account it becomes; default: the address itself.")] = "",
    shared: Annotated[
        list[str] | None, typer.Option(help="Microsoft: a shared mailbox that this account may read; may be repeated.")
    ] = None,
    service_account: Annotated[
        Path | None, typer.Option(help="Key file of a service account, to connect a whole team at once.")
    ] = None,
    tenant: Annotated[
        str,
        typer.Option(help="Microsoft: connect a whole team of this tenant (id or domain) by application permissions."),
    ] = "",
    certificate_file: Annotated[
        Path | None, typer.Option(help="With --tenant: the app's certificate and its private key (PEM).")
    ] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option(help="With --tenant: the app's secret instead; default MICROSOFT_CLIENT_SECRET.")
    ] = None,
    client_id: Annotated[str, typer.Option(help="With --tenant: the app; default MICROSOFT_CLIENT_ID.")] = "",
    domain: Annotated[str, typer.Option(help="Everybody in this domain, those without a mailbox left out.")] = "",
    admin: Annotated[str, typer.Option(help="An administrator of it, in whose name its users are listed.")] = "",
    addresses: Annotated[Path | None, typer.Option(help="File with one address a line instead of the domain.")] = None,
    as_json: Json = False,
) -> None:
    """Connect mailboxes without a browser: one with a refresh token, or a team with a service account.

    One: connect google|microsoft EMAIL --refresh-token-file FILE. A team: connect google --service-account KEY.json, or connect
    microsoft --tenant ID --certificate-file APP.pem, and either --domain ACME.EXAMPLE [--admin EMAIL] or addresses. An
    administrator of the organisation must have allowed the service account (the app) first.
    """
    named = list(emails or ())
    if tenant:
        from enrol import app_key

        if provider != "microsoft" or service_account or refresh_token_file or user or admin:
            fail("--tenant connects a team of Microsoft 365: connect microsoft --tenant ID, and --domain or addresses.")
        key = app_key(tenant, certificate=certificate_file, secret=client_secret_file, client_id=client_id)
        _connect_team(provider, key, named, addresses, domain, "", as_json=as_json)
    elif certificate_file or client_secret_file or client_id:
        fail("--certificate-file, --client-secret-file and --client-id go with --tenant.")
    elif service_account is not None:
        if refresh_token_file or user:
            fail("--service-account connects everybody as themselves; leave --refresh-token-file and --user out.")
        _connect_team(provider, service_account, named, addresses, domain, admin, as_json=as_json)
    elif refresh_token_file is None or len(named) != 1 or domain or admin or addresses:
        fail(
            "Name one mailbox: connect google EMAIL --refresh-token-file FILE. Or a team: connect google --service-account "
            "KEY.json --domain ACME.EXAMPLE, or with addresses instead of --domain."
        )
    else:
        _connect_one(provider, named[0], refresh_token_file, user, shared or [], as_json=as_json)


def _connect_one(provider: str, email: str, token_file: Path, user: str, shared: list[str], *, as_json: bool) -> None:
    import connecting

    account = connecting.connect(provider, email, token_file, user, shared=shared)
    if as_json:
        print_json(account)
    else:
        out.print(
            f"Connected {account['email']} for {account['user']}; the worker starts reading it now.", markup=False
        )
        for notice in account["missing"]:
            err.print(notice, markup=False)


def _connect_team(
    provider: str, key: Path | str, named: list[str], listed: Path | None, domain: str, admin: str, *, as_json: bool
) -> None:
    from enrol import enrol, read_addresses

    if bool(domain) == bool(named or listed):
        fail(
            "Say whom to connect: either --domain ACME.EXAMPLE, or addresses (named here, or in a file with --addresses)."
        )
    everybody = [*named, *(read_addresses(listed) if listed else ())]

    def told(done: int, total: int, last: Any) -> None:
        err.print(f"{done} of {total}: {last.email} {last.result}", markup=False, soft_wrap=True)

    report = enrol(provider, key, domain=domain, admin=admin, addresses=everybody, told=told)
    if as_json:
        print_json(report)
    else:
        out.print(team_table(report))
    raise typer.Exit(0 if report["ok"] else 1)


@app.command()
def sync(
    account: Annotated[str, typer.Option(help="One mailbox only, by its address.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Work here until everything asked for is done.")] = False,
    as_json: Json = False,
) -> None:
    """Ask for a look at the mailboxes now."""
    import sync as syncing

    report = syncing.sync(account, wait=wait, progress=None if as_json else out)
    if as_json:
        print_json(report)
    else:
        for line in report["accounts"]:
            out.print(f"{line['email']}: {line['sentence']}", markup=False, soft_wrap=True)
            for notice in line["notices"]:
                out.print(f"  {notice}", markup=False, soft_wrap=True)
    raise typer.Exit(0 if report["ok"] else 1)


@app.command()
def audit(
    account: Annotated[str, typer.Option(help="One mailbox only, by its address.")] = "",
    as_json: Json = False,
) -> None:
    """Compare everything that the providers hold with the ledger, repair what is missing, and show the sum.

    Exit status 1 when something is missing after that, or could not be compared.
    """
    import audit as auditing

    report = auditing.audit(account, progress=None if as_json else out)
    if as_json:
        print_json(report)
    else:
        for one in report["accounts"]:
            out.print(audit_table(one))
    raise typer.Exit(0 if report["ok"] else 1)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="deals | contacts")],
    file: Annotated[Path, typer.Argument(help="CSV or XLSX, as any program exports it.")],
    maps: Annotated[
        list[str] | None, typer.Option("--map", help='What a column is: "Column=field"; "Column=" leaves it out.')
    ] = None,
    stages: Annotated[
        list[str] | None, typer.Option("--stage", help='What a stage of the file means: "Engaging=Contacted".')
    ] = None,
    owners: Annotated[
        list[str] | None, typer.Option("--owner", help='Who an owner of the file is: "Rae R.=rae@acme.example".')
    ] = None,
    dates: Annotated[
        str, typer.Option(help="auto | day | month: which comes first in dates that go both ways.")
    ] = "auto",
    announce: Annotated[bool, typer.Option("--announce", help="Send webhooks for every deal that is made.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try every row and keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Take deals or contacts from a spreadsheet; what is there already is updated, not doubled.

    Exit status 0 only when every row was taken. Rows that were not are written beside the file, each with the reason.
    """
    import transfer

    if dates not in ("auto", "day", "month"):
        fail("--dates is auto, day or month.")
    report = transfer.take(
        kind,
        file,
        maps=maps or (),
        stages=stages or (),
        owners=owners or (),
        dates=dates,
        announce=announce,
        dry_run=dry_run,
        told=(lambda line: None) if as_json else (lambda line: err.print(line, markup=False)),
    )
    if as_json:
        print_json(report)
    else:
        tell_import(report)
    raise typer.Exit(0 if report["ok"] else 1)


@app.command()
def export(
    format: Annotated[str, typer.Option("--format", help="csv (a file each) | xlsx (one workbook)")] = "csv",
    to: Annotated[Path | None, typer.Option("--to", help="Folder; default: exports/ under DATA_DIR.")] = None,
    text: Annotated[
        bool,
        typer.Option("--text", help="With subjects and texts, as far as the mailboxes' owners show them to the team."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write everything out: companies, contacts, deals with their history, and who was in touch when."""
    import transfer

    report = transfer.give(
        format, to, text=text, told=(lambda line: None) if as_json else (lambda line: err.print(line, markup=False))
    )
    if as_json:
        print_json(report)
    else:
        for path in report["files"]:
            out.print(path, markup=False)


@user_app.command("add")
def user_add(
    email: str,
    admin: Annotated[bool, typer.Option("--admin", help="May change settings and invite others.")] = False,
    name: Annotated[str, typer.Option(help="Shown name.")] = "",
    as_json: Json = False,
) -> None:
    """Invite somebody; prints the link with which they set their password."""
    import people

    made = people.add_user(email, admin=admin, name=name)
    if as_json:
        print_json(made)
    else:
        out.print(f"Added {made['email']}. They set a password here: {made['invitation']}", markup=False)


@key_app.command("create")
def key_create(
    email: str, name: Annotated[str, typer.Option(help="What it is for.")] = "", as_json: Json = False
) -> None:
    """A new API key; printed once, never again."""
    import people

    token = people.create_key(email, name)
    if as_json:
        print_json({"email": email, "key": token})
    else:
        print(token)  # noqa: T201  (alone on its line, so that a script can read it)


@key_app.command("reseal")
def key_reseal() -> None:
    """After a rotation: seal every stored secret under the first key of SECRET_KEY, so that the old one can go."""
    import people

    out.print(f"Sealed {people.reseal()} secrets under the first key.")


def run() -> None:
    """The script ``dealtrail``."""
    from house import KNOWN_FAULTS

    try:
        app(prog_name="dealtrail")
    except SettingsError as error:
        err.print(str(error), markup=False)
        sys.exit(2)
    except KNOWN_FAULTS as error:
        err.print(str(error), markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
