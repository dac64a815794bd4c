"""The scenes of the demo film: each paints its places once, then draws any moment of its action.

A scene is called with a stage and gives back a function of the time in seconds since the scene began; the
same time always gives the same picture. What matters stays between y = 90 and y = 630, so that a letterbox
can cover the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipelines import demo_drawing as ink
from pipelines.demo_drawing import Cel, Colour, Pen, Picture, Stage

Draw = Callable[[float], Picture]
Scene = Callable[[Stage], Draw]

LEAF, LEAF_SHADE = (122, 182, 92), (90, 150, 80)
MEADOW, MEADOW_FAR, MEADOW_DEEP = (164, 208, 108), (190, 220, 142), (118, 172, 84)
PETALS: tuple[Colour, ...] = ((244, 128, 140), (250, 246, 236), (190, 140, 214), (248, 176, 84))
DAY_SKY: tuple[Colour, ...] = ((112, 186, 232), (176, 222, 240), (242, 246, 226))
SUNSET_SKY: tuple[Colour, ...] = ((92, 80, 142), (206, 110, 134), (248, 162, 110), (254, 214, 140))
DUSK_SKY: tuple[Colour, ...] = ((34, 38, 88), (84, 70, 136), (190, 110, 150), (246, 170, 140))
NIGHT_SKY: tuple[Colour, ...] = ((18, 24, 62), (38, 54, 112), (72, 92, 150))
SNOW, SNOW_SHADE = (244, 248, 252), (206, 222, 238)
SUNSET_LIGHT, DUSK_LIGHT, LAMP_LIGHT = (1.0, 0.82, 0.74), (0.72, 0.66, 0.86), (1.0, 0.9, 0.78)


def _blinks(t: float, *times: float) -> bool:
    return any(start <= t < start + 0.2 for start in times)


def _slide(painting: Picture, offset: int, stage: Stage) -> Picture:
    return painting[:, offset : offset + stage.size[0]].copy()


def _scatter(pen: Pen, rng: np.random.Generator, count: int, box: tuple[float, float, float, float]) -> None:
    """Flowers and tufts of grass over a box (x, y, w, h), the nearer the larger."""
    x, y, w, h = box
    for depth in np.sort(rng.random(count)):
        spot = pen.at(x + w * rng.random(), y + h * depth, scale=0.7 + 0.6 * depth)
        if rng.random() < 0.45:
            ink.flower(spot, PETALS[rng.integers(len(PETALS))])
        else:
            ink.grass(spot)


def _stars(pen: Pen, rng: np.random.Generator, count: int, width: float, height: float) -> None:
    for _ in range(count):
        size = 1.2 + 2.2 * rng.random()
        pen.oval(width * rng.random(), height * rng.random(), size, size, (255, 246, 214), ink=False)


def _moon(pen: Pen, radius: float) -> None:
    pen.glow(0, 0, radius * 2.2, (150, 170, 220), 0.12)
    pen.oval(0, 0, radius, radius, (255, 244, 204))
    for x, y, r in ((-0.35, -0.2, 0.2), (0.3, 0.3, 0.26), (0.25, -0.45, 0.12)):
        pen.oval(radius * x, radius * y, radius * r, radius * r, (240, 222, 170), ink=False)


def valley(stage: Stage) -> Draw:
    """A pan over a valley on a summer morning; the title stands until the pan begins."""
    rng = np.random.default_rng(1)

    def far(pen: Pen) -> None:
        ink.sky(pen, *DAY_SKY, bottom=520)
        pen.glow(1120, 150, 170, (255, 250, 210), 0.25)
        pen.oval(1120, 150, 58, 58, (255, 232, 130))
        for x, y, scale in ((84, 130, 0.7), (700, 96, 0.7), (1420, 190, 0.9)):
            ink.cloud(pen.at(x, y, scale=scale))
        for x, scale in ((80, 1.2), (520, 1.0), (300, 1.5), (980, 1.3), (760, 0.9), (1380, 1.4), (1200, 0.9)):
            ink.mountain(pen.at(x, 460, scale=scale), (142, 172, 204), (118, 148, 188))
        ink.hill(
            pen, [(-20, 430), (260, 400), (560, 436), (860, 396), (1220, 432), (1600, 400)], (150, 200, 170)
        )

    def near(pen: Pen) -> None:
        ink.hill(
            pen,
            [(-20, 480), (220, 420), (520, 470), (900, 410), (1300, 474), (1700, 416), (2060, 470)],
            MEADOW_FAR,
        )
        for x, y, scale in ((330, 452, 0.45), (400, 462, 0.5), (1080, 448, 0.5), (1490, 460, 0.55)):
            ink.tree(pen.at(x, y, scale=scale), LEAF, LEAF_SHADE)
        homes = [
            (560, 500, 0.62, (250, 236, 206), (206, 96, 76)),
            (740, 486, 0.55, (236, 214, 190), (92, 122, 160)),
            (900, 498, 0.66, (252, 244, 226), (190, 84, 84)),
            (1640, 492, 0.6, (246, 226, 190), (206, 130, 70)),
        ]
        for x, y, scale, wall, roof in homes:
            ink.house(pen.at(x, y, scale=scale), wall, roof)
        ink.hill(pen, [(-20, 520), (400, 500), (800, 536), (1240, 490), (1660, 530), (2060, 500)], MEADOW)
        _scatter(pen, rng, 60, (0, 560, 1060, 150))
        _scatter(pen, rng, 40, (1420, 580, 600, 130))
        left, right = (
            [(1160, 740), (1080, 620), (1210, 560), (1180, 506)],
            [(1240, 498), (1330, 560), (1250, 620)],
        )
        pen.shape([*left, *right, (1420, 740)], (238, 218, 166))
        for x, y, scale in ((150, 600, 0.95), (1000, 590, 0.85), (1480, 610, 1.0), (1890, 580, 0.9)):
            ink.tree(pen.at(x, y, scale=scale), (108, 170, 88), (80, 138, 76))

    def front(pen: Pen) -> None:
        for x, scale in ((60, 1.2), (700, 1.0), (1500, 1.3), (1760, 1.0), (2300, 1.2)):
            ink.bush(pen.at(x, 716, scale=scale), MEADOW_DEEP, (88, 142, 72))

    sky = stage.painting(far, width=1560)
    land = stage.cel(near, (0, 300, 2000, 420))
    bushes = stage.cel(front, (0, 570, 2420, 150))
    title = stage.lettering("The Red Scarf", x=560, y=236, height=124, fill=ink.SCARLET, outline=7)

    def draw(t: float) -> Picture:
        run = max(0.0, t - 1.45) * 190
        picture = _slide(sky, stage.px(run * 0.35), stage)
        land.lay(picture, -stage.px(run))
        bushes.lay(picture, -stage.px(run * 1.45))
        title.lay(picture, -stage.px(run * 0.7))
        return picture

    return draw


def garden(stage: Stage) -> Draw:
    """The child waves from the garden; the cat sits by."""
    rng = np.random.default_rng(2)

    def place(pen: Pen) -> None:
        ink.sky(pen, *DAY_SKY, bottom=480)
        ink.cloud(pen.at(820, 170, scale=1.3))
        ink.cloud(pen.at(1130, 240, scale=0.8))
        ink.hill(pen, [(-20, 440), (420, 380), (840, 430), (1300, 370)], (150, 200, 150))
        ink.tree(pen.at(1100, 530, scale=1.75), LEAF, LEAF_SHADE)
        ink.house(pen.at(250, 530, scale=1.75), (252, 236, 206), (208, 92, 76))
        ink.fence(pen.at(470, 535), 830)
        ink.hill(pen, [(-20, 530), (400, 522), (900, 534), (1300, 522)], MEADOW)
        pen.shape([(190, 526), (270, 526), (330, 600), (520, 740), (240, 740), (200, 610)], (240, 220, 170))
        ink.bush(pen.at(560, 548, scale=0.9), (104, 164, 92), (80, 134, 78))
        _scatter(pen, rng, 46, (480, 560, 780, 150))

    ground = stage.painting(place)

    def draw(t: float) -> Picture:
        def actors(pen: Pen) -> None:
            blink = _blinks(t, 2.3)
            ink.cat_sitting(
                pen.at(930, 618, scale=1.1, flip=True), tail=t / 2, look=0.8, blink=_blinks(t, 3.1)
            )
            ink.child(
                pen.at(710, 622, scale=1.35), wave=t * 1.3, scarf=t * 1.1, mouth="open", blink=blink, look=0.1
            )

        picture = ground.copy()
        stage.cel(actors, (490, 220, 560, 430)).lay(picture)
        return picture

    return draw


def _portrait(pen: Pen, t: float, *, scarf: bool, look: float, blink: bool, mouth: str) -> None:
    """The child from the chest up around the origin, 3.4 times as large as ``ink.child``'s."""
    big = pen.at(0, 0, scale=3.3)
    if scarf:
        ink.ribbon(big.at(-20, 62), 110, 30, t * 1.1)
    coat = [(-44, 54), (44, 54), (82, 84), (98, 160), (98, 160), (-98, 160), (-98, 160), (-82, 84)]
    big.shape(coat, ink.COAT)
    big.line([(-62, 104), (-66, 130), (-64, 158)])
    big.line([(62, 104), (66, 130), (64, 158)])
    if not scarf:
        big.shape([(-20, 30), (20, 30), (24, 62), (0, 74), (-24, 62)], (236, 190, 160))
        big.shape([(-44, 52), (-24, 56), (0, 80), (-14, 98), (-52, 72)], ink.COAT_DARK)
        big.shape([(44, 52), (24, 56), (0, 80), (14, 98), (52, 72)], ink.COAT_DARK)
    wind = 4 * math.sin(2 * math.pi * t * 0.9)
    ink.child_head(big.at(0, 0, scale=0.68), look=look, blink=blink, mouth=mouth, hair=wind)
    if scarf:
        ink.scarf_band(big.at(0, 192))


def child_close(stage: Stage) -> Draw:
    """The child's face; the wind rises."""

    def place(pen: Pen) -> None:
        ink.sky(pen, *DAY_SKY)
        ink.cloud(pen.at(210, 210, scale=1.7))
        ink.cloud(pen.at(1080, 150, scale=1.3))
        ink.hill(pen, [(-20, 560), (300, 500), (700, 560), (1300, 470)], (160, 206, 140))
        for x, scale in ((60, 1.5), (1010, 1.3), (1210, 1.7)):
            ink.tree(pen.at(x, 640, scale=scale), LEAF, LEAF_SHADE)
        ink.hill(pen, [(-20, 640), (500, 610), (1300, 650)], MEADOW)

    ground = stage.painting(place)

    def draw(t: float) -> Picture:
        picture = ground.copy()
        mouth, look = ("smile", 0.3) if t < 2.6 else ("oh", -0.5)

        def face(pen: Pen) -> None:
            _portrait(pen.at(660, 350), t, scarf=True, look=look, blink=_blinks(t, 1.9, 3.0), mouth=mouth)

        stage.cel(face, (190, 60, 830, 660)).lay(picture)
        return picture

    return draw


def walk(stage: Stage) -> Draw:
    """Child and cat walk through the meadows, which pass at three speeds."""
    rng = np.random.default_rng(4)

    def far(pen: Pen) -> None:
        ink.sky(pen, (98, 178, 214), (170, 222, 226), (250, 244, 214), bottom=500)
        for x, y, scale in ((240, 180, 1.2), (760, 140, 0.9), (1290, 210, 1.3)):
            ink.cloud(pen.at(x, y, scale=scale))
        for x, scale in ((140, 1.3), (420, 1.0), (1010, 1.5), (1280, 1.1)):
            ink.mountain(pen.at(x, 470, scale=scale), (152, 180, 200), (126, 156, 184))
        ink.hill(pen, [(-20, 440), (300, 462), (640, 430), (1000, 460), (1520, 436)], (158, 206, 168))

    def middle(pen: Pen) -> None:
        crest = [(x, 460 + 34 * math.sin(x / 190)) for x in range(-40, 1960, 160)]
        ink.hill(pen, crest, MEADOW_FAR)
        for x in range(120, 1900, 210):
            y = 474 + 34 * math.sin(x / 190)
            if x % 4 == 0:
                ink.pine(pen.at(x, y, scale=0.7), (84, 142, 108))
            else:
                ink.tree(pen.at(x, y, scale=0.75), (136, 188, 96), (104, 156, 84))
        ink.house(pen.at(1010, 520, scale=0.8), (252, 240, 214), (112, 130, 170))

    def path(pen: Pen) -> None:
        ink.hill(pen, [(x, 526 + 10 * math.sin(x / 130)) for x in range(-40, 2500, 130)], MEADOW)
        ink.fence(pen.at(300, 548), 620, (226, 190, 146))
        ink.fence(pen.at(1480, 548), 520, (226, 190, 146))
        band = [(x, 570 + 4 * math.sin(x / 90)) for x in range(-40, 2500, 120)]
        pen.shape([*band, *[(x, y + 76) for x, y in reversed(band)]], (240, 220, 168))
        _scatter(pen, rng, 60, (0, 668, 2440, 50))

    def front(pen: Pen) -> None:
        for x in range(100, 3400, 620):
            ink.bush(pen.at(x, 722, scale=1.1), (96, 152, 76), (74, 126, 66))

    sky = stage.painting(far, width=1500)
    trees = stage.cel(middle, (0, 270, 1900, 350))
    ground = stage.cel(path, (0, 470, 2440, 250))
    bushes = stage.cel(front, (0, 600, 3300, 120))

    def draw(t: float) -> Picture:
        def actors(pen: Pen) -> None:
            stride, talk = t * 1.25, "open" if 1.6 < t < 3.4 else "smile"
            ink.cat_walking(pen.at(370, 622, scale=1.05), stride * 1.3)
            ink.child(
                pen.at(700, 626, scale=1.3),
                step=stride,
                scarf=t * 1.2,
                look=0.9,
                mouth=talk,
                blink=_blinks(t, 2, 4),
            )

        run = t * 200
        picture = _slide(sky, stage.px(run * 0.15), stage)
        trees.lay(picture, -stage.px(run * 0.45))
        ground.lay(picture, -stage.px(run))
        stage.cel(actors, (210, 230, 640, 420)).lay(picture)
        bushes.lay(picture, -stage.px(run * 1.6))
        return picture

    return draw


def cat_close(stage: Stage) -> Draw:
    """The cat's face under autumn leaves: something flies by."""
    rng = np.random.default_rng(5)

    def place(pen: Pen) -> None:
        ink.sky(pen, (250, 226, 170), (246, 204, 140))
        for x, scale, leaf, shade in (
            (140, 2.9, (222, 132, 70), (190, 100, 60)),
            (1170, 2.7, (206, 92, 66), (170, 72, 58)),
            (620, 2.2, (236, 176, 84), (208, 142, 66)),
        ):
            ink.tree(pen.at(x, 640, scale=scale), leaf, shade)
        ink.hill(pen, [(-20, 600), (400, 570), (900, 600), (1300, 560)], (196, 170, 86))
        for _ in range(30):
            spot = pen.at(1280 * rng.random(), 620 + 90 * rng.random(), turn=360 * rng.random())
            spot.shape([(-12, 0), (0, -7), (14, 0), (0, 7)], (214, 96, 60))

    ground = stage.painting(place)

    def draw(t: float) -> Picture:
        picture = ground.copy()
        surprised = t >= 1.6
        look = min(1.0, (t - 1.6) * 1.1) if surprised else -0.7
        ear = 10 * math.sin(t * 9) if surprised else 0.0

        def face(pen: Pen) -> None:
            left, right = [(480, 480), (404, 590), (380, 740)], [(900, 740), (876, 590), (800, 480)]
            pen.shape([*left, left[-1], right[0], *right], ink.FUR)
            pen.shape([(540, 560), (640, 580), (740, 560), (730, 740), (550, 740)], ink.CREAM, ink=False)
            for side in (-1, 1):
                for y in (600, 660):
                    flank = pen.at(640 + side * (y / 4 + 78), y, flip=side < 0)
                    flank.shape([(0, 0), (4, 28), (-50, 12)], ink.FUR_DARK, ink=False)
            head = pen.at(640, 368, scale=2.35, turn=(4 * look if surprised else 0))
            ink.cat_head(head, look=look, blink=_blinks(t, 1.35), ear=ear, wide=surprised)

        stage.cel(face, (290, 20, 700, 700)).lay(picture)
        fall = t - 1.2

        def falling(pen: Pen) -> None:
            swing = 70 * math.sin(fall * 3.4)
            leaf = pen.at(1160 - 40 * fall + swing, 20 + 230 * fall, turn=50 * math.sin(fall * 4), scale=2.2)
            leaf.shape([(-20, 0), (-20, 0), (0, -10), (22, 0), (22, 0), (0, 10)], (250, 212, 96))
            leaf.line([(-12, 0), (14, 0)], weight=0.8)

        stage.cel(falling, (880, 0, 400, 720)).lay(picture)
        return picture

    return draw


def flight(stage: Stage) -> Draw:
    """The bird carries the scarf away between the clouds."""

    def far(pen: Pen) -> None:
        ink.sky(pen, (56, 132, 190), (120, 192, 216), (214, 236, 222))
        for x, y, scale in ((170, 200, 1.0), (500, 420, 0.7), (960, 170, 1.2), (1260, 390, 0.8)):
            ink.cloud(pen.at(x, y, scale=scale), (226, 242, 244), (198, 222, 232))
        ink.hill(pen, [(-20, 640), (300, 600), (700, 650), (1100, 596), (1500, 640)], (108, 170, 150))

    def near(pen: Pen) -> None:
        for x, y, scale in ((300, 590, 2.0), (1080, 640, 2.4), (1660, 600, 2.2), (2300, 640, 2.4)):
            ink.cloud(pen.at(x, y, scale=scale))

    sky, clouds = stage.painting(far, width=1500), stage.cel(near, (0, 440, 2600, 280))

    def draw(t: float) -> Picture:
        def actor(pen: Pen) -> None:
            sway = 16 * math.sin(t * 2.4)
            body = pen.at(640 + 30 * math.sin(t * 1.3), 350 + sway, scale=1.9, turn=-6)
            ink.ribbon(body.at(80, -4, turn=-14), 190, 28, t * 1.3)
            ink.bird(body, flap=t * 2.1, blink=_blinks(t, 1.4, 3.2))

        picture = _slide(sky, stage.px(t * 40), stage)
        stage.cel(actor, (300, 60, 640, 640)).lay(picture)
        clouds.lay(picture, -stage.px(t * 260))
        return picture

    return draw


def _waves(pen: Pen, t: float, rows: Sequence[float], colour: Colour) -> None:
    for i, y in enumerate(rows):
        drift = 46 * math.sin(t * 0.9 + i * 1.9) + (i % 2) * 80
        for x in range(-160, 1440, 190 + 12 * i):
            left = x + drift
            pen.line(
                [(left, y), (left + 24, y - 6), (left + 52, y), (left + 84, y - 5), (left + 112, y)],
                colour,
                weight=1.1,
            )


def shore(stage: Stage) -> Draw:
    """Sunset: far out a boat, on the cliff two small figures."""
    rng = np.random.default_rng(7)

    def place(pen: Pen) -> None:
        ink.sky(pen, *SUNSET_SKY, bottom=430)
        pen.glow(520, 410, 210, (255, 236, 160), 0.2)
        pen.oval(520, 410, 92, 92, (255, 238, 168))
        for x, y, scale in ((250, 170, 1.3), (880, 220, 1.0), (620, 130, 0.7)):
            ink.cloud(pen.at(x, y, scale=scale), (252, 198, 158), (226, 142, 134))
        pen.box(-10, 430, 1300, 300, (86, 104, 158))
        pen.box(-10, 430, 1300, 34, (128, 124, 172), ink=False)
        pen.line([(-10, 430), (-10, 430), (1290, 430), (1290, 430)])
        for y, w in ((450, 150), (478, 120), (506, 180), (538, 110), (572, 150)):
            pen.shape(
                [(520 - w / 2, y), (520, y - 5), (520 + w / 2, y), (520, y + 5)], (252, 208, 150), ink=False
            )

    def cliff(pen: Pen) -> None:
        ink.lighthouse(pen.at(1180, 404))
        face = [(820, 740), (820, 740), (846, 640), (838, 560), (872, 500), (880, 430)]
        top = [(960, 404), (1120, 400), (1300, 392), (1300, 392)]
        pen.shape([*face, *top, (1300, 740), (1300, 740)], (150, 106, 96))
        turf = [(1300, 440), (1300, 440), (1100, 438), (960, 446), (872, 452)]
        pen.shape([(880, 428), *top, *turf], (140, 150, 84))
        for x, y in ((930, 520), (1010, 600), (1130, 530), (1200, 640), (900, 650)):
            pen.line([(x, y), (x + 22, y + 26), (x + 14, y + 58)])
        for _ in range(10):
            ink.grass(pen.at(900 + 380 * rng.random(), 420 + 14 * rng.random(), scale=0.8))

    lit = Stage(stage.size, SUNSET_LIGHT)
    ground, rock = lit.painting(place), lit.cel(cliff, (760, 130, 520, 590))

    def draw(t: float) -> Picture:
        def actors(pen: Pen) -> None:
            _waves(pen, t, (462, 500, 546, 600, 660), (150, 150, 196))
            ink.boat(pen.at(300 + 9 * t, 520 + 5 * math.sin(t * 2), turn=3 * math.sin(t * 2)))

        def watchers(pen: Pen) -> None:
            ink.child(pen.at(985, 414, scale=0.62), scarf=None, look=-1, mouth="sad")
            ink.cat_sitting(pen.at(1060, 416, scale=0.55, flip=True), tail=t / 2)

        picture = ground.copy()
        lit.cel(actors, (0, 360, 900, 360)).lay(picture)
        rock.lay(picture)
        lit.cel(watchers, (930, 230, 190, 200)).lay(picture)
        return picture

    return draw


def child_sunset(stage: Stage) -> Draw:
    """The child without the scarf; a long look out to sea."""

    def place(pen: Pen) -> None:
        ink.sky(pen, *SUNSET_SKY, bottom=520)
        pen.glow(260, 480, 190, (255, 236, 160), 0.2)
        pen.oval(260, 480, 84, 84, (255, 238, 168))
        ink.cloud(pen.at(210, 220, scale=1.5), (252, 198, 158), (226, 142, 134))
        ink.cloud(pen.at(1130, 180, scale=1.1), (238, 160, 150), (206, 118, 134))
        pen.box(-10, 520, 1300, 210, (86, 104, 158))

    lit = Stage(stage.size, SUNSET_LIGHT)
    ground = lit.painting(place)

    def draw(t: float) -> Picture:
        picture = ground.copy()

        def face(pen: Pen) -> None:
            _waves(pen, t, (552, 600, 660), (150, 150, 196))
            near = pen.at(800, 372, scale=1.2)
            _portrait(near, t, scarf=False, look=-0.9, blink=_blinks(t, 2.7), mouth="sad")

        lit.cel(face, (0, 0, 1280, 720)).lay(picture)
        return picture

    return draw


def city(stage: Stage) -> Draw:
    """A pan over the roofs of a city at dusk; the bird flies home above them."""
    rng = np.random.default_rng(9)

    def far(pen: Pen) -> None:
        ink.sky(pen, *DUSK_SKY)
        _stars(pen, rng, 60, 1600, 260)
        _moon(pen.at(380, 180), 62)
        for x in range(-20, 1640, 74):
            h = 150 + 130 * rng.random()
            pen.box(x, 640 - h, 84, h + 100, (126, 96, 156))

    def near(pen: Pen) -> None:
        walls = ((92, 84, 138), (112, 78, 124), (78, 88, 142), (134, 92, 124))
        x = -30.0
        while x < 2300:
            w = 110 + 70 * rng.random()
            h, wall = 210 + 190 * rng.random(), walls[rng.integers(4)]
            ink.tower(pen.at(x, 720), w, h, wall, lit=(255, 216, 120), rng=rng)
            x += w

    def front(pen: Pen) -> None:
        x = -60.0
        while x < 3000:
            w = 190 + 110 * rng.random()
            pen.shape(
                [(x, 740), (x, 640), (x + w / 2, 566), (x + w, 640), (x + w, 740)], (58, 46, 84), smooth=False
            )
            pen.box(x + w * 0.68, 560, 26, 60, (74, 54, 88))
            pen.oval(x + w / 2, 626, 17, 17, (255, 216, 120) if rng.random() < 0.6 else (92, 76, 120))
            pen.line([(x + w / 2, 609), (x + w / 2, 643)])
            pen.line([(x + w / 2 - 17, 626), (x + w / 2 + 17, 626)])
            x += w + 40

    sky = stage.painting(far, width=1600)
    roofs, chimneys = stage.cel(near, (0, 220, 2260, 500)), stage.cel(front, (0, 540, 2900, 180))
    lit = Stage(stage.size, DUSK_LIGHT)

    def draw(t: float) -> Picture:
        run = t * 174
        picture = _slide(sky, stage.px(300 - run * 0.3), stage)
        roofs.lay(picture, -stage.px(960 - run))
        chimneys.lay(picture, -stage.px(1560 - run * 1.6))

        def actor(pen: Pen) -> None:
            body = pen.at(1010 - 130 * t, 250 + 14 * math.sin(t * 3), flip=True)
            ink.ribbon(body.at(80, -4, turn=-14), 170, 24, t * 1.3)
            ink.bird(body, flap=t * 2.1)

        lit.cel(actor, (120, 100, 1100, 320)).lay(picture)
        return picture

    return draw


def _window_frame(pen: Pen, x: float, y: float, w: float, h: float) -> None:
    wood = (196, 140, 96)
    for left in (x - 16, x + w - 2, x + w / 2 - 8):
        pen.box(left, y, 17, h, wood)
    pen.box(x - 16, y - 16, w + 32, 18, wood)
    pen.box(x, y + h * 0.45, w, 12, wood)
    pen.box(x - 34, y + h, w + 68, 22, wood)


def _curtain(pen: Pen, *, flip: bool, height: float) -> None:
    cloth, tie = pen.at(0, 0, flip=flip), height * 0.6
    hem = [(38, height), (38, height), (12, height - 8), (-12, height), *[(-38, height - 8)] * 2]
    edge = [(-38, -22), (-38, -22), (66, -22), (66, -22), (60, height * 0.35), (24, tie), (24, tie)]
    cloth.shape([*edge, *hem], (222, 120, 112))
    for x in (-14, 12, 38):
        cloth.line([(x, -16), (x - 4, height * 0.3), (x / 2 - 14, tie - 12)], (176, 84, 88))
        fold = [(x / 2 - 14, tie + 12), (x / 2 - 8, height * 0.8), (x / 2 - 6, height - 10)]
        cloth.line(fold, (176, 84, 88))
    cloth.limb([(-36, tie + 6), (-6, tie + 4), (24, tie - 4)], 12, (246, 206, 120))


def bedroom(stage: Stage) -> Draw:
    """Night, a lamp, a bed: the cat sleeps, the child does not."""
    rng = np.random.default_rng(10)

    def place(pen: Pen) -> None:
        ink.sky(pen, (216, 176, 146), (198, 148, 126))
        for x in range(40, 1280, 80):
            pen.line([(x, -10), (x, 560)], (206, 162, 136), weight=1.5)
        pen.glow(1075, 300, 300, (255, 232, 160), 0.16)
        pen.box(140, 140, 330, 260, (34, 48, 104))
        pen.box(140, 300, 330, 100, (62, 82, 142), ink=False)
        _stars(pen.at(140, 145), rng, 26, 320, 150)
        _moon(pen.at(382, 214), 40)
        pen.shape(
            [(140, 400), (140, 350), (220, 326), (330, 360), (470, 320), (470, 400)],
            (30, 48, 84),
            smooth=False,
        )
        _window_frame(pen, 140, 140, 330, 260)
        _curtain(pen.at(130, 140), flip=False, height=300)
        _curtain(pen.at(480, 140), flip=True, height=300)
        pen.box(960, 120, 150, 112, (120, 82, 62))
        pen.box(972, 132, 126, 88, (150, 206, 220), ink=False)
        pen.shape(
            [(972, 220), (972, 194), (1020, 170), (1060, 198), (1098, 184), (1098, 220)],
            LEAF,
            ink=False,
            smooth=False,
        )
        pen.box(-10, 560, 1300, 170, (150, 98, 78))
        for y in (600, 650):
            pen.line([(-10, y), (1290, y)], (124, 78, 66))
        pen.box(1010, 430, 140, 150, (168, 110, 78))
        pen.box(1024, 450, 112, 46, (188, 128, 90))
        pen.oval(1080, 473, 6, 6, ink.BUTTON)
        pen.box(1070, 360, 14, 70, (96, 76, 90))
        pen.shape([(1034, 366), (1054, 286), (1100, 286), (1120, 366)], (255, 226, 140), smooth=False)
        pen.shape([(868, 640), (868, 300), (900, 270), (936, 300), (936, 640)], (146, 90, 66), smooth=False)
        pen.shape(
            [(904, 398), (904, 398), (800, 392), (770, 420), (780, 458), (904, 466), (904, 466)], ink.WHITE
        )
        pen.box(330, 500, 560, 110, (146, 90, 66))
        pen.box(292, 428, 40, 212, (146, 90, 66))
        pen.oval(312, 420, 22, 22, (146, 90, 66))

    def blanket(pen: Pen) -> None:
        top = [(330, 604), (322, 500), (420, 462), (600, 470), (736, 452), (800, 470), (830, 520)]
        pen.shape([*top, (826, 604), (700, 622), (560, 604), (440, 624)], (92, 128, 176))
        pen.shape([(716, 452), (796, 464), (832, 520), (826, 560), (784, 520), (740, 480)], ink.WHITE)
        for x, y in ((400, 520), (480, 560), (560, 510), (640, 560), (700, 520), (440, 590), (760, 570)):
            pen.oval(x, y, 11, 11, (246, 206, 120), ink=False)

    lit = Stage(stage.size, LAMP_LIGHT)
    ground, cover = lit.painting(place), lit.cel(blanket, (296, 430, 560, 210))

    def draw(t: float) -> Picture:
        def sitter(pen: Pen) -> None:
            pen.shape(
                [(700, 400), (770, 396), (806, 440), (820, 530), (660, 530), (672, 440)], (244, 226, 170)
            )
            ink.child_head(pen.at(736, 318, scale=0.9), look=-0.9, blink=_blinks(t, 2.1, 3.6), mouth="sad")
            pen.limb([(690, 430), (664, 470), (690, 496)], 30, (244, 226, 170))

        def sleeper(pen: Pen) -> None:
            ink.cat_asleep(pen.at(480, 478, scale=1.05), t / 2.2)

        picture = ground.copy()
        lit.cel(sitter, (620, 200, 230, 340)).lay(picture)
        cover.lay(picture)
        lit.cel(sleeper, (330, 350, 280, 140)).lay(picture)
        return picture

    return draw


def window(stage: Stage) -> Draw:
    """Snow at the window, and on the sill the bird with the scarf."""
    rng = np.random.default_rng(11)
    flakes = rng.random((70, 3)) * (1060, 520, 1) + (110, 0, 0)

    def outside(pen: Pen) -> None:
        ink.sky(pen, *NIGHT_SKY)
        _stars(pen, rng, 50, 1280, 380)
        _moon(pen.at(930, 210), 74)
        ink.hill(pen, [(-20, 470), (300, 430), (700, 480), (1300, 420)], (112, 134, 184))
        for x, scale in ((210, 1.0), (330, 0.8), (820, 0.7), (1060, 1.1)):
            ink.pine(pen.at(x, 520, scale=scale), (44, 80, 104), (196, 212, 236))
        ink.hill(pen, [(-20, 520), (500, 500), (1300, 530)], (170, 188, 222))

    def inside(pen: Pen) -> None:
        wall = (172, 120, 112)
        for box in ((-10, -10, 120, 740), (1170, -10, 120, 740), (100, -10, 1080, 70), (100, 590, 1080, 140)):
            pen.box(*box, wall, ink=False)
        wood = (190, 132, 92)
        for box in ((96, 52, 1088, 28), (96, 70, 30, 520), (1154, 70, 30, 520), (626, 78, 28, 500)):
            pen.box(*box, wood)
        pen.box(50, 574, 1180, 44, (206, 150, 106))
        pen.box(50, 618, 1180, 22, (160, 106, 82))
        _curtain(pen.at(90, 70, scale=1.9), flip=False, height=300)
        _curtain(pen.at(1190, 70, scale=1.9), flip=True, height=300)
        pen.shape([(232, 574), (240, 508), (310, 508), (318, 574)], (206, 110, 80), smooth=False)
        pen.box(230, 498, 90, 18, (206, 110, 80))
        for x, y in ((250, 420), (300, 410), (276, 380)):
            pen.line([(276, 498), ((x + 276) / 2 + 6, 456), (x, y + 16)], (70, 120, 70), weight=1.6)
            ink.flower(pen.at(x, y + 26, scale=1.3), (244, 128, 140))

    lit = Stage(stage.size, (0.86, 0.84, 0.98))
    view, frame = lit.painting(outside), lit.cel(inside, (0, 0, 1280, 720))

    def draw(t: float) -> Picture:
        def snow(pen: Pen) -> None:
            for x, y, depth in flakes:
                size = 3 + 4 * depth
                fallen = (y + t * (60 + 60 * depth)) % 520
                pen.oval(x + 14 * math.sin(t * 1.4 + y), 70 + fallen, size, size, ink.WHITE, ink=False)

        def actor(pen: Pen) -> None:
            hop = 16 * abs(math.sin(t * 6)) if t > 2.6 else 0.0
            body = pen.at(770, 486 - hop, scale=1.85, flip=True)
            ink.ribbon(body.at(70, 6, turn=-72), 96, 30, 0.1 + t * 0.35)
            ink.bird(body, blink=_blinks(t, 1.8, 3.2))

        picture = view.copy()
        lit.cel(snow, (110, 60, 1060, 540)).lay(picture)
        frame.lay(picture)
        lit.cel(actor, (480, 320, 540, 400)).lay(picture)
        return picture

    return draw


def homecoming(stage: Stage) -> Draw:
    """A winter morning: everyone is there, the scarf too."""

    def place(pen: Pen) -> None:
        ink.sky(pen, (150, 196, 226), (222, 226, 232), (252, 226, 206), bottom=500)
        pen.oval(980, 250, 54, 54, (255, 240, 190))
        for x, scale in ((120, 1.4), (420, 1.1), (820, 1.5), (1160, 1.2)):
            ink.mountain(pen.at(x, 484, scale=scale), (164, 182, 212), (138, 158, 196))
        ink.hill(pen, [(-20, 470), (300, 420), (700, 470), (1300, 410)], SNOW_SHADE)
        ink.house(pen.at(250, 520, scale=1.2), (236, 206, 170), SNOW, window=(255, 222, 130))
        for x, scale in ((480, 1.0), (950, 1.2), (1090, 0.9), (1220, 1.3)):
            ink.pine(pen.at(x, 540, scale=scale), (74, 128, 112), SNOW)
        ink.hill(pen, [(-20, 530), (400, 516), (900, 546), (1300, 520)], SNOW)
        for x, y, w in ((160, 600, 130), (430, 660, 170), (1010, 610, 150), (1150, 680, 140)):
            pen.line([(x, y), (x + w / 2, y + 10), (x + w, y)], SNOW_SHADE, weight=2)

    ground = stage.painting(place)

    def draw(t: float) -> Picture:
        def actors(pen: Pen) -> None:
            ink.cat_sitting(
                pen.at(880, 616, scale=1.15, flip=True), tail=t / 2, look=0.8, blink=_blinks(t, 1.7)
            )
            ink.child(pen.at(660, 620, scale=1.3), wave=t * 1.2, scarf=t, mouth="open", blink=_blinks(t, 2.4))
            ink.bird(pen.at(660, 240 - 3 * math.sin(t * 6), scale=0.7), blink=_blinks(t, 2.1))

        picture = ground.copy()
        stage.cel(actors, (450, 190, 550, 460)).lay(picture)
        return picture

    return draw


CREDITS: tuple[tuple[str, float], ...] = (
    ("The Red Scarf", 62),
    ("", 40),
    ("with", 24),
    ("A Child", 38),
    ("A Ginger Cat", 38),
    ("A Blue Bird", 38),
    ("", 40),
    ("Hills, houses, snow and sea", 24),
    ("Ovals and Splines", 38),
    ("", 40),
    ("Wind", 24),
    ("A Sine", 38),
    ("", 60),
    ("Drawn in code for framekit", 32),
    ("The End", 54),
)


def end_credits(stage: Stage) -> Draw:
    """Text rolls over a night sky; the cat sleeps in the corner, the scarf for a bed."""
    rng = np.random.default_rng(13)

    def place(pen: Pen) -> None:
        ink.sky(pen, (12, 14, 32), (24, 26, 54))
        _stars(pen.at(700, 0), rng, 44, 580, 560)
        pen.shape([(880, 600), (960, 574), (1130, 576), (1200, 600), (1130, 616), (950, 616)], ink.SCARLET)

    lit = Stage(stage.size, (0.7, 0.7, 0.86))
    ground = lit.painting(place)
    lines: list[Cel] = []
    y = 640.0
    for text, height in CREDITS:
        y += height * 0.8
        if text:
            lines.append(stage.lettering(text, x=400, y=y, height=height, fill=(244, 236, 214)))
        y += height * 0.8

    def draw(t: float) -> Picture:
        picture = ground.copy()
        lit.cel(lambda pen: ink.cat_asleep(pen.at(1040, 596), t / 2.4), (900, 480, 260, 130)).lay(picture)
        for line in lines:
            line.lay(picture, dy=-stage.px(t * 215))
        return picture

    return draw
