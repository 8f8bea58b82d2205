"""The colours of the portal, once: style sheet and charts are made from this table.

``python -m aggregator.portal.tokens`` writes ``static/portal/tokens.css`` again. Contrast and
colour-blind distances of the values are in docs/portal.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ThemeName = Literal["light", "dark"]
THEMES: Final[tuple[ThemeName, ...]] = ("light", "dark")
CSS_PATH: Final = Path(__file__).with_name("static") / "portal" / "tokens.css"

FONT: Final = (
    '-apple-system, "Segoe UI", "Hiragino Sans", "Noto Sans JP", "Noto Sans CJK JP", '
    '"Yu Gothic UI", "BIZ UDPGothic", Meiryo, sans-serif'
)

# name: (light, dark)
COLOURS: Final[dict[str, tuple[str, str]]] = {
    "bg": ("#eef0f2", "#0f1316"),
    "surface": ("#ffffff", "#171c20"),
    "sunken": ("#f6f7f8", "#12171a"),
    "raised": ("#ffffff", "#1e2429"),
    "line": ("#dde1e5", "#2a3238"),
    "line-strong": ("#7d8891", "#71808b"),
    "ink": ("#161b20", "#e8ecef"),
    "ink-2": ("#46515a", "#b3bdc5"),
    "ink-3": ("#5f6b75", "#8c98a2"),
    "accent": ("#23479e", "#9db8ff"),
    "accent-strong": ("#18347a", "#c3d3ff"),
    "accent-weak": ("#e8edf9", "#1c2742"),
    "on-accent": ("#ffffff", "#0f1733"),
    "focus": ("#0b57d0", "#ffd166"),
    "up": ("#00746b", "#4cc9bb"),
    "up-weak": ("#dff1ee", "#12302d"),
    "down": ("#7a3e9d", "#c79be6"),
    "down-weak": ("#f1e8f6", "#2b1d36"),
    "ok": ("#2f6b3a", "#7cc48a"),
    "ok-weak": ("#e6f1e7", "#172a1b"),
    "crit": ("#c01f2e", "#ff6b6b"),
    "crit-weak": ("#fbe6e7", "#3a171b"),
    "high": ("#a84b00", "#ff9f4a"),
    "high-weak": ("#fdeedd", "#38230f"),
    "med": ("#7a5c00", "#e8c547"),
    "med-weak": ("#fbf3d3", "#2f2810"),
    "info": ("#3b5f7d", "#8fb3cf"),
    "info-weak": ("#e6edf3", "#18242d"),
    "shade": ("#161b2014", "#00000066"),
    # mechanisms, cheap to dear: lightness falls in light, rises in dark
    "m-renewable": ("#d3d79a", "#464c1c"),
    "m-battery": ("#8fcfc4", "#2a6d66"),
    "m-spatial": ("#52a9b4", "#3b93a8"),
    "m-deferral": ("#3578ad", "#5b9fd4"),
    "m-power-cap": ("#4a56a6", "#b4b9f8"),
    "m-stop": ("#5b2d7d", "#efdcfb"),
    "m-mixed": ("#9aa5ae", "#5d6a74"),
    # loading of a line: grey until it matters
    "load-0": ("#eceef0", "#1f262b"),
    "load-1": ("#d3d9de", "#2d373e"),
    "load-2": ("#b3bec7", "#45525c"),
    "load-3": ("#f2cf8e", "#7b5b1c"),
    "load-4": ("#e89b3f", "#b97717"),
    "load-5": ("#d9542b", "#e0603a"),
    "load-6": ("#a3162a", "#ff9a94"),
}
# what is printed on the two darkest (lightest) steps of the loading ramp
ON_LOAD: Final = ("#ffffff", "#14181b")


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one theme."""

    theme: ThemeName

    def __getitem__(self, name: str) -> str:
        return COLOURS[name][self._column]

    @property
    def _column(self) -> int:
        return THEMES.index(self.theme)

    @property
    def on_load(self) -> str:
        """Ink on an overloaded cell."""
        return ON_LOAD[self._column]

    @property
    def loading_ramp(self) -> list[str]:
        """One colour for each 10 % from 40 to 120 % of the rating.

        The steps of the ramp are not of equal width (below 50, 70, 80, 90, 100, 110), so
        colours repeat; below and above, the first and the last one go on.
        """
        return [self[f"load-{step}"] for step in (0, 1, 1, 2, 3, 4, 5, 6)]

    def mechanism(self, name: str) -> str:
        """Colour of a mechanism as named in ``market.trading.models.Mechanism``."""
        key = f"m-{name.lower().replace('_', '-')}"
        return self[key] if key in COLOURS else self["m-mixed"]


def _block(selector: str, column: int, indent: str = "") -> str:
    lines = "".join(f"{indent}  --{name}: {pair[column]};\n" for name, pair in COLOURS.items())
    scheme = f"{indent}  color-scheme: {THEMES[column]};\n"
    return f"{indent}{selector} {{\n{scheme}{lines}{indent}}}\n"


def css() -> str:
    """Compose the style sheet of tokens; dark by choice, else by the system's wish."""
    return (
        "/* Written by aggregator/portal/tokens.py; change it there. */\n"
        f":root {{\n  --font: {FONT};\n}}\n"
        + _block(":root", 0)
        + _block(':root[data-theme="dark"]', 1)
        + "@media (prefers-color-scheme: dark) {\n"
        + _block(":root:not([data-theme])", 1, indent="  ")
        + "}\n"
    )


if __name__ == "__main__":
    CSS_PATH.write_text(css(), encoding="utf-8")
