"""`docs/settings.md` against the settings themselves."""

from __future__ import annotations

import re
from pathlib import Path

from cluster.settings import PORTS
from gateway.settings import GatewaySettings
from services.live.settings import LiveSettings
from services.retention.settings import RetentionSettings
from services.serving.settings import PREFIX
from services.store.settings import StoreSettings
from sessiond.cli.options import VARIABLES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
PARTS = (StoreSettings, LiveSettings, GatewaySettings, RetentionSettings)
OF_EXAMPLES = {"SESSIOND_TOKEN_FILE", "SESSIOND_AGENTS"}
OF_RUN = {"SESSIOND_DATA_DIR", "SESSIOND_ETCD_BIN", *PORTS}


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    """A variable that is read stands in the document, and one that stands there is read."""
    read = {PREFIX + name.upper() for part in PARTS for name in part.model_fields}
    read |= OF_RUN | OF_EXAMPLES | set(VARIABLES)
    documented = set(re.findall(r"`(SESSIOND_[A-Z_]*[A-Z])`", DOCUMENT.read_text()))
    assert documented == read


def test_documented_defaults_are_the_real_ones() -> None:
    """The default beside a plain number, or a word, is what the part takes."""
    rows = dict(re.findall(r"^\| `(SESSIOND_\w+)` \| `([^`]+)` \|", DOCUMENT.read_text(), re.M))
    for part in PARTS:
        for name, field in part.model_fields.items():
            told = rows.get(PREFIX + name.upper())
            if told is not None:
                default = str(field.default).removesuffix(".0")
                assert told in (default, default.lower()), name
