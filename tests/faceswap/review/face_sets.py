"""Face sets drawn by a formula, for trials of the review page. No picture shows anyone."""
import base64
import json
import math
import os
import random
import struct
import zlib

SIZE = 64        # pixels along the crop
EYE_SPAN = 20.0  # pixels between the eyes, so the crop shows 64 pixels of the frame
LANDMARKS = 468
# The outline of FaceMesh's face, from the forehead on clockwise.
OUTLINE = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
           152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def drawing(person, pose):
    """The compressed pixels of a head: an ellipse with eyes and a mouth."""
    rng = random.Random(person)
    skin = [rng.randint(90, 230), rng.randint(70, 180), rng.randint(60, 150)]
    paper = [rng.randint(20, 90) for _ in range(3)]
    turn = (pose % 5 - 2) * 1.5
    rows = []
    for y in range(SIZE):
        row = bytearray([0])
        for x in range(SIZE):
            u, v = (x - 32 - turn) / 20, (y - 34) / 27
            colour = paper
            if u * u + v * v < 1:
                light = 1 - 0.35 * (u * u + v * v)
                colour = [int(c * light) for c in skin]
                eye = min(abs(x - 22), abs(x - 42))
                if math.hypot(eye, (y - 25) * 1.6) < 3.2:
                    colour = [20, 20, 30]
                if abs(x - 32) < 7 and abs(y - 47) < 1 + pose % 3:
                    colour = [150, 50, 60]
            row += bytes(colour)
        rows.append(bytes(row))
    return zlib.compress(b"".join(rows), 6)


def mesh():
    """Points of the frame, as if on a face with its eyes at (40,50) and (60,50)."""
    rng = random.Random(7)
    points = []
    for _ in range(LANDMARKS):
        angle, radius = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
        points.append([50 + 19 * radius * math.cos(angle), 59 + 26 * radius * math.sin(angle)])
    for at, index in enumerate(OUTLINE):
        angle = 2 * math.pi * at / len(OUTLINE)
        points[index] = [50 + 20 * math.sin(angle), 59 - 27 * math.cos(angle)]
    return points


POINTS = mesh()


def metadata(frame, person, track, marks=(), refused="", full=True):
    rng = random.Random(person)
    noise = random.Random(frame)
    scale = 80 / EYE_SPAN
    identity = [round(rng.gauss(0, 0.045) + noise.gauss(0, 0.012), 4) for _ in range(128)]
    measures = {"presence": 0.3 if refused else 0.99, "yaw": noise.gauss(0, 15), "pitch": 0,
                "roll": 0, "eye_open": [0.3, 0.3], "mouth_open": 0.1, "brightness": 0.5,
                "contrast": 0.2, "visible": 1, "covered": 0}
    return {"schema": "doppel-face/2", "source": "clip.mp4", "frame": frame, "pts": frame,
            "seconds": frame / 25, "track": track, "person": person,
            "to_canonical": [scale, 0, 88 - 40 * scale, 100 - 50 * scale],
            "eyes": [[40, 50], [60, 50]], "box": [30, 30, 40], "confidence": 1,
            "sharpness": noise.uniform(50, 500), "crop_size": SIZE,
            "landmarks": POINTS if full else [], "measures": measures, "marks": list(marks),
            "refused": refused, "identity": identity if full else []}


def mask():
    """The text of a face's mask: an ellipse of 128 x 128 grey pixels, cut off at a hand."""
    rows = b"".join(b"\0" + bytes(255 if ((x - 64) / 40) ** 2 + ((y - 68) / 54) ** 2 < 1 and
                                  x + y < 160 else 0 for x in range(128)) for y in range(128))
    header = struct.pack(">IIBBBBB", 128, 128, 8, 0, 0, 0, 0)
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


MASK = mask()


def write(path, pixels, face, with_mask=False):
    text = b"doppel-face\0\0\0\0\0" + json.dumps(face).encode()
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"iTXt", text) +
                   (chunk(b"iTXt", b"doppel-mask\0\0\0\0\0" + MASK) if with_mask else b"") +
                   chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def small(folder):
    """Persons 0, 1, 2 with 12, 8 and 4 faces; three are marked, person 1's have a mask; two
    more are refused."""
    os.makedirs(os.path.join(folder, "refused"))
    frame = 0
    for person, count in enumerate((12, 8, 4)):
        for i in range(count):
            marks = ["blurred"] if person == 0 and i < 3 else []
            write(os.path.join(folder, f"p{person}_{i:02}.png"), drawing(person, i),
                  metadata(frame, person, person, marks), person == 1)
            frame += 1
    for i in range(2):
        write(os.path.join(folder, "refused", f"q_{i}.png"), drawing(90 + i, i),
              metadata(frame + i, -1, 9, (), "no face by the mesh"))


def large(folder, count):
    """`count` faces of 40 persons."""
    os.makedirs(folder)
    pictures = [drawing(person, person) for person in range(40)]
    for i in range(count):
        person = i % 40 if i % 3 else 0
        write(os.path.join(folder, f"f_{i:05}.png"), pictures[person],
              metadata(i, person, person, (), "", False))
