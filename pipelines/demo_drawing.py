"""Ink and paint for the demo film: a pen, cels, and one painter for every thing and creature in it.

Everything is drawn in the units of a 1280x720 picture, whatever the size of the film, at twice its
resolution, and averaged down: outlines keep one weight and clean edges. A painter takes a pen placed where
the thing stands and draws it around the pen's origin, y pointing down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 1280, 720
SUPERSAMPLING = 2
OUTLINE = 3.4  # units
INK: Colour = (22, 17, 24)

WHITE: Colour = (252, 249, 240)
SKIN, BLUSH, HAIR, HAIR_LIGHT = (250, 214, 182), (244, 160, 142), (112, 66, 44), (158, 100, 64)
SCARLET, SCARLET_DARK = (216, 52, 48), (164, 32, 42)
COAT, COAT_DARK, BUTTON = (64, 118, 168), (44, 88, 136), (246, 206, 92)
TROUSERS, BOOT = (62, 60, 92), (124, 76, 52)
FUR, FUR_DARK, CREAM, PINK = (238, 154, 68), (198, 106, 40), (255, 240, 214), (240, 150, 150)
CAT_EYE = (168, 206, 96)
FEATHER, FEATHER_DARK, BEAK = (88, 160, 214), (52, 110, 172), (248, 188, 60)


def curve(points: Points, *, closed: bool, steps: int = 8) -> npt.NDArray[np.float64]:
    """A smooth line through points (Catmull-Rom spline); a point given twice is a corner.

    Returns:
        (n, 2) float64 points along the line.
    """
    p = np.asarray(points, dtype=np.float64)
    p = np.vstack([p[-1], p, p[:2]]) if closed else np.vstack([p[0], p, p[-1]])
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    long = (b != c).any(axis=2)[:, 0]  # nothing lies between the two points of a corner
    a, b, c, d = a[long], b[long], c[long], d[long]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    line = b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2) + t**3 * (1.5 * (b - c) + (d - a) / 2)
    line = line.reshape(-1, 2)
    return line if closed else np.vstack([line, p[-1]])


@dataclass(frozen=True)
class Pen:
    """Draws outlined flat shapes on a sheet, in its own coordinates.

    Attributes:
        sheet: (h, w, 3) or (h, w, 4) uint8, drawn on in place; four channels are premultiplied RGBA.
        matrix: (2, 3) float64 from the pen's units to sheet pixels.
        weight: width of an outline in sheet pixels: the same however large the drawing is.
        light: what the light of the scene leaves of red, green and blue, each 0 to 1.
    """

    sheet: Picture
    matrix: npt.NDArray[np.float64]
    weight: float
    light: tuple[float, float, float]

    def at(self, x: float, y: float, *, scale: float = 1, flip: bool = False, turn: float = 0) -> Pen:
        """The same pen with its origin at x, y, then turned (degrees, clockwise), scaled and mirrored."""
        cos, sin = scale * math.cos(math.radians(turn)), scale * math.sin(math.radians(turn))
        mirror = -1 if flip else 1
        local = np.array([[cos * mirror, -sin, x], [sin * mirror, cos, y], [0, 0, 1]])
        return replace(self, matrix=self.matrix @ local)

    @property
    def scale(self) -> float:
        """Sheet pixels in one unit."""
        return math.sqrt(abs(np.linalg.det(self.matrix[:, :2])))

    def _colour(self, colour: Colour) -> tuple[float, ...]:
        return (*(c * light for c, light in zip(colour, self.light, strict=True)), 255)

    def _place(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        placed = np.asarray(points, dtype=np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.round(placed * 16).astype(np.int32)

    def shape(self, points: Points, fill: Colour, *, ink: bool = True, smooth: bool = True) -> None:
        """A filled shape through points, outlined unless ``ink`` is off."""
        placed = self._place(curve(points, closed=True) if smooth else points)
        cv2.fillPoly(self.sheet, [placed], self._colour(fill), cv2.LINE_AA, 4)
        if ink:
            cv2.polylines(self.sheet, [placed], True, (*INK, 255), max(1, round(self.weight)), cv2.LINE_AA, 4)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour, *, ink: bool = True) -> None:
        """A filled ellipse."""
        angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        points = np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)
        self.shape(list(map(tuple, points)), fill, ink=ink, smooth=False)

    def box(self, x: float, y: float, w: float, h: float, fill: Colour, *, ink: bool = True) -> None:
        """A filled rectangle, its corner at x, y."""
        self.shape([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], fill, ink=ink, smooth=False)

    def line(self, points: Points, colour: Colour | None = None, *, weight: float = 1) -> None:
        """A smooth open line, in ink unless a colour is given; ``weight`` in outlines."""
        placed = self._place(curve(points, closed=False))
        drawn = (*INK, 255) if colour is None else self._colour(colour)
        cv2.polylines(self.sheet, [placed], False, drawn, max(1, round(self.weight * weight)), cv2.LINE_AA, 4)

    def limb(self, points: Points, width: float, fill: Colour) -> None:
        """An arm, a leg, a tail: an outlined line of the given width with round ends."""
        placed = self._place(curve(points, closed=False))
        inner = width * self.scale
        for thickness, colour in (
            (inner + self.weight, (*INK, 255)),
            (inner - self.weight, self._colour(fill)),
        ):
            cv2.polylines(self.sheet, [placed], False, colour, max(1, round(thickness)), cv2.LINE_AA, 4)

    def blob(self, ovals: Sequence[tuple[float, float, float, float]], fill: Colour) -> None:
        """Ovals (x, y, rx, ry) melted into one outlined shape: clouds, leaves."""
        half = (self.weight + 1) / self.scale / 2  # what cv2 makes of a line this wide
        ink = replace(self, light=(1.0, 1.0, 1.0))
        for x, y, rx, ry in ovals:
            ink.oval(x, y, rx + half, ry + half, INK, ink=False)
        for x, y, rx, ry in ovals:
            self.oval(x, y, rx - half, ry - half, fill, ink=False)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Light around a lamp or the sun: a few flat rings, each a little brighter."""
        for ring in (1.0, 0.72, 0.48):
            lit = self.sheet.copy()
            replace(self, sheet=lit, light=(1.0, 1.0, 1.0)).oval(
                x, y, radius * ring, radius * ring, colour, ink=False
            )
            cv2.addWeighted(lit, strength, self.sheet, 1 - strength, 0, dst=self.sheet)


@dataclass(frozen=True)
class Cel:
    """A transparent sheet to lay on a picture.

    Attributes:
        paint: (h, w, 3) uint8 RGB, premultiplied.
        keep: (h, w, 3) uint8, how much of the picture below shows through, 255 for all.
        x, y: its place in pixels.
    """

    paint: Picture
    keep: Picture
    x: int
    y: int

    def lay(self, picture: Picture, dx: int = 0, dy: int = 0) -> None:
        """Put the cel on a picture (H, W, 3), moved by dx, dy pixels; what falls outside is cut off."""
        x, y = self.x + dx, self.y + dy
        left, top = max(x, 0), max(y, 0)
        right, bottom = (
            min(x + self.paint.shape[1], picture.shape[1]),
            min(y + self.paint.shape[0], picture.shape[0]),
        )
        if left >= right or top >= bottom:
            return
        below = picture[top:bottom, left:right]
        part = np.s_[top - y : bottom - y, left - x : right - x]
        below[:] = cv2.add(cv2.multiply(below, self.keep[part], scale=1 / 255), self.paint[part])


@dataclass(frozen=True)
class Stage:
    """Paper of the film's size, and the light of a scene.

    Attributes:
        size: width and height of a picture in pixels.
        light: what is left of red, green and blue, each 0 to 1.
    """

    size: tuple[int, int]
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def px(self, units: float) -> int:
        """Units of a 1280x720 picture as whole pixels."""
        return round(units * self.size[0] / WIDTH)

    def _pen(self, sheet: Picture, x: int, y: int) -> Pen:
        scale = SUPERSAMPLING * self.size[0] / WIDTH
        matrix = np.array([[scale, 0, -x * SUPERSAMPLING], [0, scale, -y * SUPERSAMPLING]])
        return Pen(sheet, matrix, OUTLINE * scale, self.light)

    def painting(self, paint: Callable[[Pen], None], *, width: float = WIDTH) -> Picture:
        """An opaque picture (H, w, 3), at least ``width`` units wide."""
        w, h = self.px(width), self.size[1]
        sheet = np.zeros((h * SUPERSAMPLING, w * SUPERSAMPLING, 3), np.uint8)
        paint(self._pen(sheet, 0, 0))
        return _average(sheet, w, h)

    def cel(self, paint: Callable[[Pen], None], box: tuple[float, float, float, float]) -> Cel:
        """What ``paint`` draws inside box (x, y, w, h in units)."""
        x, y, w, h = map(self.px, box)
        sheet = np.zeros((h * SUPERSAMPLING, w * SUPERSAMPLING, 4), np.uint8)
        paint(self._pen(sheet, x, y))
        drawn = _average(sheet, w, h)
        keep = np.asarray(cv2.cvtColor(255 - drawn[..., 3], cv2.COLOR_GRAY2RGB), np.uint8)
        return Cel(np.ascontiguousarray(drawn[..., :3]), keep, x, y)

    def lettering(
        self, text: str, *, x: float, y: float, height: float, fill: Colour, outline: float = 0
    ) -> Cel:
        """One line of text centred on x with its baseline at y, in a font ``height`` units high."""
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(size=max(4, self.px(height)))
        ink = self.px(outline)
        left, top, right, bottom = (round(v) for v in font.getbbox(text, anchor="ms", stroke_width=ink))
        paper = Image.new("RGBA", (right - left + 2, bottom - top + 2))
        pen = ImageDraw.Draw(paper)
        if ink:
            pen.text((1 - left, 1 - top), text, font=font, fill=INK, anchor="ms", stroke_width=ink)
        pen.text((1 - left, 1 - top), text, font=font, fill=fill, anchor="ms", stroke_width=ink // 3)
        drawn = np.asarray(paper).astype(np.uint16)
        paint = (drawn[..., :3] * drawn[..., 3:] // 255).astype(np.uint8)
        keep = np.repeat(255 - drawn[..., 3:], 3, axis=2).astype(np.uint8)
        return Cel(paint, keep, self.px(x) + left - 1, self.px(y) + top - 1)


def _average(sheet: Picture, w: int, h: int) -> Picture:
    return cv2.resize(sheet, (w, h), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


# ── Places ──────────────────────────────────────────────────────────────────────────────────────────────


def sky(pen: Pen, *colours: Colour, bottom: float = HEIGHT) -> None:
    """A vertical gradient over the whole width, from the top of the sheet down to ``bottom``."""
    rows = round(bottom * pen.scale)
    stops = np.linspace(0, rows, len(colours))
    ramp = np.stack(
        [np.interp(np.arange(rows), stops, channel) for channel in zip(*colours, strict=True)], axis=1
    )
    pen.sheet[:rows] = ramp[:, None].round().astype(np.uint8)[: pen.sheet.shape[0]]


def cloud(pen: Pen, fill: Colour = WHITE, shade: Colour = (218, 230, 240)) -> None:
    """A cloud about 200 units wide."""
    pen.blob(
        [(-62, 4, 40, 26), (-22, -22, 44, 40), (30, -12, 46, 34), (70, 8, 34, 22), (0, 10, 84, 20)], fill
    )
    pen.oval(6, 14, 68, 10, shade, ink=False)
    pen.line([(-44, -26), (-32, -40), (-14, -42)], weight=0.8)
    pen.line([(24, -22), (38, -26), (50, -16)], weight=0.8)


def hill(pen: Pen, crest: Points, fill: Colour, *, bottom: float = HEIGHT + 8) -> None:
    """Land below a crest that runs from left to right."""
    top = [(float(x), float(y)) for x, y in curve(crest, closed=False)]
    pen.shape([*top, (top[-1][0], bottom), (top[0][0], bottom)], fill, ink=False, smooth=False)
    pen.line(crest)


def mountain(pen: Pen, fill: Colour, shade: Colour, snow: Colour = WHITE) -> None:
    """A peak 300 units wide and 190 high with snow on top."""
    ridge = [(-150, 0), (-60, -110), (0, -190), (58, -116), (150, 0)]
    pen.shape(ridge, fill, ink=False, smooth=False)
    pen.shape([*ridge[2:], (20, 0), (34, -60), (2, -110)], shade, ink=False, smooth=False)
    pen.shape([(0, -190), (44, -134), (22, -142), (6, -122), (-14, -142), (-44, -130)], snow, smooth=False)
    pen.line([point for point in ridge for _ in range(2)])


def tree(pen: Pen, leaf: Colour, shade: Colour, bark: Colour = (128, 84, 58)) -> None:
    """A round tree 230 units high, standing on the origin."""
    pen.shape([(-20, 2), (-20, 2), (-10, -60), (-14, -120), (14, -120), (10, -60), (22, 2), (22, 2)], bark)
    pen.line([(2, -62), (5, -40), (2, -22)], weight=0.8)
    pen.blob(
        [(-52, -130, 46, 40), (52, -128, 46, 42), (-30, -182, 46, 42), (28, -188, 46, 42), (0, -140, 52, 46)],
        leaf,
    )
    for x, y, rx, ry in ((46, -108, 36, 16), (-44, -108, 34, 14), (4, -106, 40, 14)):
        pen.oval(x, y, rx, ry, shade, ink=False)
    for x, y in ((-54, -150), (-14, -196), (34, -168), (64, -136), (-8, -146)):
        pen.line([(x - 12, y), (x - 3, y + 8), (x + 9, y + 3)], weight=0.8)


def pine(pen: Pen, leaf: Colour, snow: Colour | None = None) -> None:
    """A fir tree 220 units high, standing on the origin, with snow on it if given."""
    pen.box(-10, -34, 20, 34, (110, 72, 54))
    for y, w in ((-30, 74), (-86, 58), (-138, 42)):
        hem = [(w, y + 4), (w / 2, y - 6), (0, y + 6), (-w / 2, y - 6), (-w, y + 4)]
        pen.shape([(0, y - 84), *hem], leaf, smooth=False)
        if snow:
            hem = [(w * 0.5, y - 40), (w * 0.2, y - 48), (-w * 0.1, y - 36), (-w * 0.5, y - 40)]
            pen.shape([(0, y - 84), *hem], snow, smooth=False)


def house(pen: Pen, wall: Colour, roof: Colour, *, window: Colour = (172, 214, 232)) -> None:
    """A house 220 units wide and 220 high, standing on the origin."""
    r, g, b = roof
    pen.box(52, -214, 28, 60, (176, 108, 90))
    pen.box(-92, -118, 184, 118, wall)
    pen.shape([(-112, -112), (-70, -196), (70, -196), (112, -112)], roof, smooth=False)
    for y, x in ((-168, 84), (-140, 98)):
        pen.line([(-x, y), (x, y)], (r * 3 // 4, g * 3 // 4, b * 3 // 4))
    pen.box(-24, -78, 44, 78, (146, 92, 66))
    pen.oval(10, -38, 3.5, 3.5, BUTTON)
    for x in (-74, 40):
        pen.box(x, -86, 36, 40, window)
        pen.line([(x + 18, -86), (x + 18, -46)])
        pen.line([(x, -66), (x + 36, -66)])
        pen.box(x - 4, -46, 44, 9, (214, 170, 120))


def fence(pen: Pen, length: float, wood: Colour = WHITE) -> None:
    """A picket fence 62 units high that runs right from the origin."""
    for y in (-48, -22):
        pen.box(0, y, length, 9, wood)
    for x in range(8, int(length) - 8, 34):
        pen.shape([(x, 0), (x, -54), (x + 8, -64), (x + 16, -54), (x + 16, 0)], wood, smooth=False)


def flower(pen: Pen, petal: Colour) -> None:
    """A flower 34 units high, standing on the origin."""
    pen.line([(0, 0), (-2, -12), (0, -24)], (62, 120, 62), weight=1.2)
    pen.blob([(0, -33, 6, 6), (8, -26, 6, 6), (5, -18, 6, 6), (-5, -18, 6, 6), (-8, -26, 6, 6)], petal)
    pen.oval(0, -25, 4, 4, BUTTON, ink=False)


def grass(pen: Pen) -> None:
    """A tuft of three blades."""
    for lean in (-9, 0, 9):
        pen.line([(lean / 3, 0), (lean * 0.6, -9), (lean, -16 + abs(lean) / 2)], weight=0.8)


def bush(pen: Pen, leaf: Colour, shade: Colour) -> None:
    """A bush 150 units wide, standing on the origin."""
    pen.blob([(-44, -22, 36, 30), (0, -40, 44, 42), (44, -24, 38, 32), (0, -10, 70, 18)], leaf)
    pen.oval(4, -10, 56, 9, shade, ink=False)
    for x, y in ((-30, -44), (8, -60), (36, -36)):
        pen.line([(x - 10, y), (x, y + 7), (x + 10, y)], weight=0.8)


def boat(pen: Pen) -> None:
    """A sailing boat 150 units high, its water line at the origin."""
    pen.line([(4, -10), (4, -146)], weight=1.6)
    pen.shape([(12, -140), (40, -84), (58, -30), (12, -30)], WHITE, smooth=False)
    pen.shape([(-4, -124), (-22, -76), (-46, -30), (-4, -30)], (246, 206, 140), smooth=False)
    pen.shape([(-66, -22), (66, -22), (46, 10), (-44, 10)], (186, 74, 62), smooth=False)
    pen.line([(-60, -10), (58, -10)], WHITE, weight=1.4)


def lighthouse(pen: Pen) -> None:
    """A lighthouse 250 units high, standing on the origin."""
    pen.shape([(-36, 0), (-24, -180), (24, -180), (36, 0)], WHITE, smooth=False)
    for low, high in ((-40, -80), (-120, -160)):
        a, b = 36 + low / 15, 36 + high / 15
        pen.shape([(-a, low), (-b, high), (b, high), (a, low)], SCARLET, smooth=False)
    pen.box(-32, -190, 64, 12, (90, 84, 104))
    pen.box(-20, -224, 40, 34, (255, 238, 160))
    pen.shape([(-28, -222), (0, -252), (28, -222)], SCARLET_DARK, smooth=False)


def tower(pen: Pen, w: float, h: float, wall: Colour, *, lit: Colour, rng: np.random.Generator) -> None:
    """A town house w by h units with a few lit windows, standing on the origin."""
    dark = (wall[0] * 2 // 3, wall[1] * 2 // 3, wall[2] * 3 // 4)
    pen.box(0, -h, w, h + 20, wall)
    pen.box(w * 0.8, -h, w * 0.2, h + 20, dark, ink=False)
    pen.line([(w, -h), (w, 20)])
    roof = rng.integers(3)
    if roof == 0:
        pen.shape([(-8, -h), (w / 2, -h - w * 0.45), (w + 8, -h)], dark, smooth=False)
    elif roof == 1:
        pen.box(-6, -h - 14, w + 12, 16, dark)
        pen.line([(w * 0.3, -h - 14), (w * 0.3, -h - 58)], weight=1.2)
    else:
        pen.box(w * 0.2, -h - 34, w * 0.36, 36, dark)
        pen.box(-6, -h - 10, w + 12, 14, dark)
    columns = max(2, int(w // 38))
    for row in range(int((h - 30) // 46)):
        for column in range(columns):
            x = (column + 0.5) * w * 0.8 / columns - 9
            pen.box(x, -h + 24 + row * 46, 18, 26, lit if rng.random() < 0.45 else dark)


# ── Creatures ───────────────────────────────────────────────────────────────────────────────────────────


def ribbon(pen: Pen, length: float, width: float, flutter: float) -> None:
    """A scarf end that blows to the left from the origin; ``flutter`` is the phase of its wave in turns."""
    along = np.linspace(0, 1, 9)
    x = -length * along
    y = 0.22 * length * along * np.sin(2 * math.pi * (flutter + along * 0.9)) + 0.25 * length * along**2
    half = width / 2 * (0.8 + 0.35 * along)
    upper, lower = np.stack([x, y - half], 1), np.stack([x, y + half], 1)
    edge = [(float(a), float(b)) for a, b in (*upper, upper[-1], lower[-1], *lower[::-1])]
    pen.shape(edge, SCARLET)
    for i in (6, 7):
        quad = [upper[i], (upper[i] * 2 + upper[i + 1]) / 3, (lower[i] * 2 + lower[i + 1]) / 3, lower[i]]
        pen.shape([(float(a), float(b)) for a, b in quad], CREAM, ink=False, smooth=False)
    pen.line([(-length * 0.1, 0), (-length * 0.3, float(y[3]))], SCARLET_DARK)


def _mouth(pen: Pen, mouth: str) -> None:
    if mouth == "smile":
        pen.line([(-17, 0), (-8, 8), (8, 8), (17, 0)])
    elif mouth == "open":
        pen.shape(
            [(-22, -4), (-22, -4), (0, 0), (22, -4), (22, -4), (13, 17), (0, 22), (-13, 17)], (150, 44, 54)
        )
        pen.oval(0, 14, 8, 5, PINK, ink=False)
    elif mouth == "sad":
        pen.line([(-13, 8), (-5, 2), (5, 2), (13, 8)])
    else:
        pen.oval(0, 5, 7, 8, (150, 44, 54))


def child_head(
    pen: Pen, *, look: float = 0, blink: bool = False, mouth: str = "smile", hair: float = 0
) -> None:
    """A child's head of radius 100 around the origin.

    Args:
        pen: placed at the middle of the head.
        look: from -1 (turned left) to 1 (turned right).
        blink: eyes closed.
        mouth: "smile", "open", "sad" or "oh".
        hair: how far the wind moves the hair, in units.
    """
    dx = 18 * look
    crown = [(-106, 8), (-103, -38), (-72, -92), (0, -120), (72, -92), (103, -38), (106, 8)]
    tips = [(100 - hair, 98), (100 - hair, 98), (60, 90), (-60, 90), (-100 - hair, 98), (-100 - hair, 98)]
    pen.shape([*crown, (112, 56), *tips, (-112, 56)], HAIR)
    chin = [(-82, 36), (-50, 80), (0, 96), (50, 80), (82, 36)]
    pen.shape([(-92, -14), *chin, (92, -14), (60, -78), (-60, -78)], SKIN)
    for side in (-1, 1):
        x = side * 38 + dx
        pen.oval(side * 55 + dx * 0.5, 42, 17, 10, BLUSH, ink=False)
        inner, outer = (-24, -13) if mouth == "sad" else (-17, -15)
        pen.line([(x - side * 13, inner), (x, -22), (x + side * 13, outer)])
        if blink:
            pen.line([(x - 14, 12), (x - 6, 19), (x + 6, 19), (x + 14, 12)], weight=1.3)
            continue
        pen.oval(x, 12, 13, 19, INK, ink=False)
        pen.oval(x, 21, 8, 8, (132, 82, 58), ink=False)
        pen.oval(x - 4, 4, 5, 6, WHITE, ink=False)
        pen.oval(x + 4, 20, 2.5, 2.5, WHITE, ink=False)
    pen.line([(dx * 1.4 - 3, 38), (dx * 1.4 + 2, 41), (dx * 1.4 + 5, 37)], weight=0.9)
    _mouth(pen.at(dx * 1.2, 58), mouth)
    right = [(82, 10), (78, -34), (58, -58), (52, -30), (52, -30), (26, -54), (4, -62)]
    left = [(-6, -28), (-6, -28), (-34, -50), (-46, -60), (-58, -30), (-58, -30), (-78, -38)]
    locks = [(x + hair / 3, y) for x, y in (*right, *left)]
    sides = [(92 - hair, 58)] * 2, [(-92 - hair, 58)] * 2
    pen.shape([*crown, *sides[0], *locks, (-82, 10), *sides[1]], HAIR)
    pen.line([(-60, -84), (-30, -98), (4, -102), (34, -97)], HAIR_LIGHT, weight=2.2)
    pen.line([(46, -92), (54, -88)], HAIR_LIGHT, weight=2.2)


def child(
    pen: Pen,
    *,
    step: float | None = None,
    wave: float | None = None,
    scarf: float | None = 0,
    look: float = 0,
    blink: bool = False,
    mouth: str = "smile",
) -> None:
    """A child 270 units high, standing on the origin.

    Args:
        pen: placed between the feet.
        step: phase of a walk to the right in turns; None stands still.
        wave: phase of a waving arm in turns; None leaves it down.
        scarf: phase of the scarf's flutter in turns; None is without a scarf.
        look: from -1 (turned left) to 1 (turned right).
        blink: eyes closed.
        mouth: see ``child_head``.
    """
    turn = 0.0 if step is None else 2 * math.pi * step
    swing = 0.0 if step is None else math.sin(turn)
    body = pen.at(0, 0 if step is None else -5 * abs(math.cos(turn)))
    for side in (-1, 1):
        hip = (16 if step is None else 8) * side
        foot, lift = hip + 30 * swing * side, 0.0 if step is None else 13 * max(0.0, math.cos(turn) * side)
        pen.limb([(hip, -62), ((hip + foot) / 2 + 3, -36 - lift / 2), (foot, -14 - lift)], 21, TROUSERS)
        pen.at(foot, -lift).shape([(-13, -22), (10, -22), (22, -4), (-14, -2)], BOOT)
    if scarf is not None:
        ribbon(body.at(-18, -126), 118, 27, scarf)
    body.limb([(-30, -116), (-48 + 10 * swing, -92), (-52 + 26 * swing, -66)], 24, COAT_DARK)
    body.oval(-53 + 28 * swing, -56, 11, 11, SKIN)
    hem = [(50, -48), (50, -48), (0, -42), (-50, -48), (-50, -48)]
    body.shape([(-30, -136), (30, -136), (40, -96), *hem, (-40, -96)], COAT)
    body.line([(2, -128), (3, -86), (2, -44)])
    for y in (-100, -78):
        body.oval(13, y, 4.5, 4.5, BUTTON)
    if wave is None:
        body.limb([(32, -116), (50 - 10 * swing, -92), (52 - 26 * swing, -66)], 24, COAT)
        body.oval(53 - 28 * swing, -56, 11, 11, SKIN)
    else:
        arm = body.at(32, -114, turn=14 * math.sin(2 * math.pi * wave))
        arm.oval(72, -66, 12, 13, SKIN)
        arm.limb([(0, 0), (40, -4), (66, -48)], 24, COAT)
    child_head(body.at(0, -194, scale=0.68), look=look, blink=blink, mouth=mouth, hair=5 * swing)
    if scarf is not None:
        scarf_band(body)


def scarf_band(pen: Pen) -> None:
    """The scarf around the neck of ``child``, with its knot."""
    pen.shape(
        [(-46, -142), (-20, -133), (20, -133), (46, -142), (48, -122), (24, -108), (-24, -108), (-48, -122)],
        SCARLET,
    )
    pen.line([(-30, -122), (-10, -116), (12, -116)], SCARLET_DARK)
    pen.shape([(-34, -130), (-16, -130), (-12, -108), (-30, -104)], SCARLET)


def cat_head(pen: Pen, *, look: float = 0, blink: bool = False, ear: float = 0, wide: bool = False) -> None:
    """A ginger cat's head of radius 100 around the origin.

    Args:
        pen: placed at the middle of the head.
        look: where the pupils go, from -1 (left) to 1 (right).
        blink: eyes closed.
        ear: how far the right ear leans, in degrees.
        wide: pupils wide open.
    """
    for side in (-1, 1):
        tip = pen.at(side * 58, -56, flip=side < 0, turn=ear if side > 0 else 0)
        tip.shape([(-38, 0), (-38, 0), (-16, -38), (20, -68), (20, -68), (30, -30), (28, 30), (28, 30)], FUR)
        tip.shape([(-18, -10), (-4, -30), (14, -48), (14, -48), (20, -24), (18, 10)], PINK, ink=False)
    brow = [(-88, -50), (-36, -80), (36, -80), (88, -50)]
    jaw = [(106, 44), (62, 78), (0, 88), (-62, 78), (-106, 44)]
    pen.shape([(-103, 8), *brow, (103, 8), *jaw], FUR)
    for x, y in ((0, -50), (-26, -56), (26, -56)):
        pen.shape([(x - 7, -80), (x + 7, -80), (x, y + 18)], FUR_DARK, ink=False)
    for side in (-1, 1):
        for y in (14, 36):
            pen.shape([(side * 101, y - 6), (side * 102, y + 6), (side * 76, y)], FUR_DARK, ink=False)
    for side in (-1, 1):
        x = side * 45
        if blink:
            pen.line([(x - 19, 0), (x - 8, 9), (x + 8, 9), (x + 19, 0)], weight=1.3)
            continue
        pen.oval(x, -2, 20, 23, CAT_EYE)
        pen.oval(x + 8 * look, -2, 13 if wide else 8, 18, INK, ink=False)
        pen.oval(x + 8 * look - 4, -10, 4.5, 5.5, WHITE, ink=False)
    pen.shape(
        [(-50, 48), (-26, 28), (0, 34), (26, 28), (50, 48), (32, 72), (0, 78), (-32, 72)], CREAM, ink=False
    )
    pen.shape([(-11, 25), (11, 25), (0, 38)], PINK)
    pen.line([(0, 38), (0, 48)])
    pen.line([(-26, 50), (-13, 58), (0, 48), (13, 58), (26, 50)])
    for side in (-1, 1):
        for y in (-6, 6):
            pen.line(
                [(side * 46, 46 + y / 2), (side * 92, 44 + y * 1.6), (side * 132, 46 + y * 3.4)], weight=0.7
            )


def cat_sitting(pen: Pen, *, tail: float = 0, look: float = 0, blink: bool = False) -> None:
    """A cat 170 units high that sits on the origin; ``tail`` is the phase of its sway in turns."""
    sway = 16 * math.sin(2 * math.pi * tail)
    pen.limb([(30, -14), (76, -10), (94 + sway / 2, -44), (84 + sway, -78)], 19, FUR)
    pen.shape([(-26, -92), (22, -94), (46, -52), (54, -6), (40, 0), (-40, 0), (-52, -6), (-44, -52)], FUR)
    for y in (-60, -44, -28):
        pen.shape([(50 + y / 9, y - 5), (51 + y / 9, y + 5), (24, y)], FUR_DARK, ink=False)
    pen.shape([(-18, -84), (14, -84), (18, -54), (-2, -34), (-22, -54)], CREAM, ink=False)
    for x in (-18, 16):
        pen.line([(x - 2 * (x > 0), -40), (x, -6)])
        pen.oval(x, -4, 15, 8, CREAM)
    cat_head(pen.at(-2, -112, scale=0.5), look=look, blink=blink)


def cat_walking(pen: Pen, step: float) -> None:
    """A cat 190 units long that walks right; ``step`` is the phase of the walk in turns."""
    sway = 10 * math.sin(2 * math.pi * step)
    pen.limb([(-62, -66), (-100, -80), (-108 + sway / 2, -118), (-92 + sway, -142)], 17, FUR)
    for hip, phase, near in ((-46, 0.5, False), (58, 0.0, False), (-58, 0.0, True), (44, 0.5, True)):
        turn = 2 * math.pi * (step + phase)
        foot, lift = hip + 20 * math.sin(turn), 9 * max(0.0, math.cos(turn))
        pen.limb(
            [(hip, -46), ((hip + foot) / 2, -26 - lift / 2), (foot, -8 - lift)], 18, FUR if near else FUR_DARK
        )
    back, belly = [(-76, -62), (-50, -82), (0, -80), (50, -84), (76, -70)], [(72, -42), (30, -32), (-40, -32)]
    pen.shape([*back, *belly, (-72, -40)], FUR)
    for x in (-44, -20, 4):
        pen.shape([(x - 7, -79), (x + 7, -79), (x - 2, -56)], FUR_DARK, ink=False)
    cat_head(pen.at(78, -98 + sway / 5, scale=0.46), look=0.7)


def cat_asleep(pen: Pen, breath: float) -> None:
    """A curled cat 200 units wide that lies on the origin; ``breath`` is its phase in turns."""
    rise = 5 * math.sin(2 * math.pi * breath)
    pen.shape(
        [(-84, -4), (-92, -40), (-40, -74 - rise), (30, -78 - rise), (84, -46), (90, -6), (40, 0), (-40, 0)],
        FUR,
    )
    for x in (10, 34, 58):
        pen.shape(
            [(x - 8, -73 - rise + x / 5), (x + 8, -70 - rise + x / 4), (x - 2, -46)], FUR_DARK, ink=False
        )
    pen.limb([(78, -12), (30, -8), (-10, -12)], 20, FUR)
    cat_head(pen.at(-58, -40 - rise / 3, scale=0.44, turn=-8), blink=True)


def bird(pen: Pen, *, flap: float | None = None, blink: bool = False) -> None:
    """A bird 160 units long that faces right around the origin; without ``flap`` (in turns) it stands."""
    if flap is None:
        for x in (-2, 16):
            pen.line([(x, 28), (x + 2, 46), (x + 12, 47)], (216, 134, 48), weight=1.6)
    else:
        _wing(pen.at(14, -10), math.sin(2 * math.pi * flap), FEATHER_DARK)
    pen.shape(
        [(-46, -14), (-108, -26), (-108, -26), (-98, -4), (-106, 14), (-106, 14), (-46, 12)], FEATHER_DARK
    )
    pen.shape([(-58, -2), (-26, -28), (12, -44), (46, -38), (58, -10), (44, 20), (6, 34), (-34, 22)], FEATHER)
    pen.shape([(56, -4), (44, 18), (6, 31), (-20, 24), (10, 12), (36, 4)], CREAM, ink=False)
    pen.shape([(54, -22), (54, -22), (86, -10), (86, -10), (54, 2), (54, 2)], BEAK)
    pen.line([(56, -10), (76, -10)], weight=0.8)
    if blink:
        pen.line([(24, -16), (32, -11), (40, -16)], weight=1.2)
    else:
        pen.oval(32, -18, 8, 9, INK, ink=False)
        pen.oval(29, -22, 3, 3.5, WHITE, ink=False)
    pen.oval(42, -2, 8, 4.5, BLUSH, ink=False)
    if flap is None:
        pen.shape([(10, -14), (-20, -18), (-70, 4), (-70, 4), (-22, 18), (8, 10)], FEATHER_DARK)
        pen.line([(-12, 4), (-36, 5)], weight=0.8)
    else:
        _wing(pen.at(-4, -8), math.sin(2 * math.pi * flap), FEATHER_DARK)


def _wing(pen: Pen, lift: float, fill: Colour) -> None:
    up = 0.15 + 0.85 * lift
    edge = [(24, 4), (8, -50), (-40, -104)]
    feathers = [(-40, -104), (-44, -72), (-58, -66), (-44, -44), (-50, -30)]
    pen.shape([(x, y * up) for x, y in (*edge, *feathers, (-22, 10))], fill)
    pen.line([(2, -24 * up), (-20, -52 * up)], weight=0.8)
