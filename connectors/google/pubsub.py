"""Taking rings out of a Pub/Sub subscription, with a service account's key: no public address is needed (provider-contract 1.9)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google.oauth2.credentials
import google.oauth2.service_account

from connectors.doorbell import Received
from connectors.errors import ConnectorError, OperatorFault, TryLater
from connectors.google.client import GuardedHttp
from connectors.google.config import GoogleConfig
from connectors.google.faults import classify, from_answer
from connectors.google.line import Line
from connectors.google.rings import notice_of

SCOPE = "https://www.googleapis.com/auth/pubsub"
PATIENCE = 100.0
"""Seconds that an empty pull may be held by the server."""
BIGGEST_ANSWER = 16 * 1024 * 1024


class PubSubInbox:
    """``connectors.doorbell.Inbox``. Not thread-safe: one for the thread that reads. Close it."""

    provider = "google"

    def __init__(self, config: GoogleConfig, name: str, credentials_file: Path) -> None:
        self.name = name
        self._config, self._file = config, credentials_file
        self._http: GuardedHttp | None = None

    def pull(self, most: int) -> list[Received]:
        """Up to ``most`` messages, leased for the subscription's own time. Raises ConnectorError."""
        answer = self._post("pull", {"maxMessages": most})
        listed = answer.get("receivedMessages") or []
        return [
            Received(str(one["ackId"]), notice_of(one.get("message")))
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and one.get("ackId")
        ]

    def acknowledge(self, ack_ids: Sequence[str]) -> None:
        """Done with these. Raises ConnectorError."""
        if ack_ids:
            self._post("acknowledge", {"ackIds": list(ack_ids)})

    def close(self) -> None:
        """Close the line; the next call opens another one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._config.pubsub_root}/v1/{self.name}:{verb}"
        headers = {"content-type": "application/json"}
        try:
            head, content = self._line().request(url, "POST", json.dumps(body), headers)
        except Exception as error:  # noqa: BLE001  (whatever the library throws: its text may quote the answer)
            self.close()
            raise classify(error) from None
        if head.status != 200:
            raise _refusal(head.status) or from_answer(head.status, content, dict(head), "")
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise TryLater("not_json", "Google's answer was not what it should be; we try again.")
        return answer

    def _line(self) -> GuardedHttp:
        if self._http is None:
            bare = Line(PATIENCE, biggest=BIGGEST_ANSWER)
            self._http = GuardedHttp(credentials(self._file, self._config.token_uri), http=bare)
            self._http.allowed = self._config.pubsub_hosts
        return self._http


def credentials(file: Path, token_uri: str) -> Any:
    """Whose name the subscription is read in: a service account's key, or an authorised user's file. Tokens are fetched from
    ``token_uri`` only, whatever the file names. Raises OperatorFault."""
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
        if info.get("type") == "authorized_user":
            return google.oauth2.credentials.Credentials(
                None,
                refresh_token=str(info["refresh_token"]),
                client_id=str(info["client_id"]),
                client_secret=str(info["client_secret"]),
                token_uri=token_uri,
            )
        info = info | {"token_uri": token_uri}
        return google.oauth2.service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except OSError as error:
        raise _wrong_file(f"cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _wrong_file("is no key of a service account (JSON)") from None


def _wrong_file(why: str) -> OperatorFault:
    return OperatorFault("credentials_file", f"DEALTRAIL_GOOGLE_PUBSUB_CREDENTIALS_FILE {why}.", scope="source")


def _refusal(status: int) -> ConnectorError | None:
    if status == 404:
        return OperatorFault(
            "subscription_missing",
            "The Pub/Sub subscription does not exist (an unused one ends after 31 days). Create it, or mend "
            "DEALTRAIL_GOOGLE_PUBSUB_SUBSCRIPTION.",
            after=600.0,
            scope="source",
        )
    if status == 403:
        return OperatorFault(
            "subscription_not_allowed",
            "The service account may not read the Pub/Sub subscription. Give it the role Pub/Sub Subscriber on it.",
            after=600.0,
            scope="source",
        )
    return None
