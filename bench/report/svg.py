"""A few shapes of SVG, and axes. Enough for the plots of report.py, without a plotting library."""

import math
from xml.sax.saxutils import escape

# Okabe and Ito's colours: told apart by people who see few of them.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


class Svg:
    def __init__(self, width, height, title):
        self.width, self.height, self.title, self.parts = width, height, title, []
        self.text(20, 28, title, size=17, weight="bold")

    def text(self, x, y, words, size=12, anchor="start", weight="normal", fill="#222", turn=None):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn is not None else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}"{turned}>{escape(words)}</text>'
        )

    def line(self, x0, y0, x1, y1, stroke="#222", width=1.0, dash=None):
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{stroke}" stroke-width="{width}"{dashed}/>')

    def rect(self, x, y, width, height, fill, hint=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{fill}">{self.hint(hint)}</rect>')

    def dot(self, x, y, radius, fill, hint="", hollow=False):
        paint = f'fill="white" stroke="{fill}" stroke-width="1.5"' if hollow else f'fill="{fill}" fill-opacity="0.75"'
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {paint}>{self.hint(hint)}</circle>')

    def path(self, points, stroke, width=2.0):
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{places}" fill="none" stroke="{stroke}" stroke-width="{width}"/>')

    @staticmethod
    def hint(words):
        return f"<title>{escape(words)}</title>" if words else ""

    def __str__(self):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" '
            'font-family="DejaVu Sans, Verdana, sans-serif">'
            f'<rect width="{self.width}" height="{self.height}" fill="white"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


class LogAxis:
    """Positions of positive numbers on a logarithmic axis between two pixels."""

    def __init__(self, low, high, begin, end):
        self.low, self.high, self.begin, self.end = math.log10(low), math.log10(high), begin, end

    def __call__(self, value):
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def decades(self):
        return [10.0**power for power in range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)]


def number(value):
    """Three significant digits, as people write them."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"
