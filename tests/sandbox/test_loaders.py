"""Real mail into a pretend mailbox: mbox, Maildir, a folder of .eml files, Takeout's labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.loaders import UnreadableMail, load, when
from sandbox.mailbox import Mailbox
from tests.sandbox.conftest import BUYER, ME
from tests.sandbox.letters import mail


def dated(day: int, **more) -> bytes:
    return mail(**more).replace(b"Mon, 02 Nov 2026 08:00:00", b"%02d Sep 2026 08:00:00" % day)


def subjects(box: Mailbox) -> list[str]:
    return [box.messages[one].envelope.subject for _, one in box.order]


def test_an_mbox_file_comes_in_the_order_of_its_dates_with_quoting_undone(box: Mailbox, tmp_path: Path) -> None:
    late, early = dated(9, subject="Late", text="From the start\n"), dated(2, subject="Early")
    late = late.replace(b"\r\n", b"\n").replace(b"\nFrom the", b"\n>From the")
    path = tmp_path / "All mail.mbox"
    path.write_bytes(b"From a@b Mon Nov 02\n" + late + b"\nFrom a@b Mon Nov 02\n" + early.replace(b"\r\n", b"\n"))
    assert load(box, path).mails == 2
    assert subjects(box) == ["Early", "Late"]
    assert b"\nFrom the start" in box.messages[box.order[1][1]].bytes()
    assert box.changes == []


def test_takeouts_labels_become_gmails(box: Mailbox, tmp_path: Path) -> None:
    labels = ("X-Gmail-Labels", "Inbox,Unread,Big deals")
    path = tmp_path / "takeout.mbox"
    path.write_bytes(b"From 1@xxx Mon\n" + mail(headers=[labels]).replace(b"\r\n", b"\n"))
    load(box, path)
    stored = next(iter(box.messages.values()))
    assert {box.names[label] for label in stored.labels} == {"INBOX", "UNREAD", "Big deals"}


def test_a_maildir_and_a_folder_of_eml_files_are_read(box: Mailbox, tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / "maildir" / part).mkdir(parents=True)
    (tmp_path / "maildir" / "cur" / "1.host:2,S").write_bytes(dated(3, subject="Read"))
    (tmp_path / "maildir" / "new" / "2.host").write_bytes(dated(4, subject="New"))
    (tmp_path / "maildir" / "tmp" / "3.host").write_bytes(dated(5, subject="Half"))
    assert load(box, tmp_path / "maildir").mails == 2
    (tmp_path / "eml" / "deeper").mkdir(parents=True)
    (tmp_path / "eml" / "one.eml").write_bytes(dated(6, subject="One"))
    (tmp_path / "eml" / "deeper" / "two.eml").write_bytes(dated(7, subject="Two", sender=ME, to=BUYER))
    (tmp_path / "eml" / "notes.txt").write_text("no mail")
    assert load(box, tmp_path / "eml").mails == 2
    assert load(box, tmp_path / "eml" / "one.eml").mails == 1
    assert subjects(box) == ["Read", "New", "One", "One", "Two"]
    assert box.messages[box.order[-1][1]].labels == {"SENT"}


def test_the_moment_is_that_of_the_topmost_received_line_else_the_date() -> None:
    received = ("Received", "from mx.example by us.example; Tue, 03 Nov 2026 10:00:00 +0000")
    assert when(mail(headers=[received])) == pytest.approx(1793700000.0)
    assert when(mail()) == pytest.approx(1793606400.0)
    assert when(b"Subject: no date\n\n") is None


def test_mail_without_a_legible_date_stands_with_the_oldest(box: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(dated(2))
    (tmp_path / "b.eml").write_bytes(b"From: x@y.example\nDate: some day\n\nHello\n")
    load(box, tmp_path)
    assert len({at for at, _ in box.order}) == 1


@pytest.mark.parametrize("what", ["missing", "empty folder", "no mbox", "empty file"])
def test_unreadable_input_says_what_was_expected(what: str, box: Mailbox, tmp_path: Path) -> None:
    path = tmp_path / "mail"
    if what == "empty folder":
        path.mkdir()
    elif what == "no mbox":
        path.write_text("Dear diary,\n")
    elif what == "empty file":
        path.write_bytes(b"")
    with pytest.raises(UnreadableMail) as caught:
        load(box, path)
    assert str(path) in str(caught.value)
    assert box.messages == {}
