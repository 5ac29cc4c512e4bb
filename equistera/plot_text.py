"""What every plot shares: colours, and names that people gave as matplotlib shows them unchanged."""

from __future__ import annotations

#: Colour-blind-safe palette of Okabe and Ito (2008), without its yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_LONGEST = 60
#: Scripts up to here (Latin, IPA) are in every weight of the font that matplotlib brings; of others it draws boxes and
#: fills the terminal with warnings.
_FIRST_UNKNOWN = "\u0250"


def plain(text: str) -> str:
    """Text as matplotlib shows it unchanged: short, Latin, no mathematics, no leading _ (which hides a legend)."""
    short = text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"
    known = "".join(c if c < _FIRST_UNKNOWN and c.isprintable() else "?" for c in short).replace("$", r"\$")
    return f" {known}" if known.startswith("_") else known
