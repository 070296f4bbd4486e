"""Pictures: facts, hashes and renditions of every format, and what hostile ones end as."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from processing.inspectors import fingerprints, image, renditions
from processing.inspectors.base import Inspection, Unreadable
from tests import samples
from tests.samples import encoded, picture


@pytest.fixture
def look(tmp_path: Path) -> Any:
    """Inspect bytes; the renditions lie in `tmp_path`."""

    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return image.inspect(source, tmp_path, options)

    return inspect


def rendition(found: Inspection, folder: Path, kind: str) -> Image.Image:
    (file,) = [each for each in found.renditions if each.kind == kind]
    made = Image.open(io.BytesIO((folder / file.name).read_bytes()))
    assert made.format == "JPEG"
    assert made.size == (file.width, file.height)
    assert file.mime_type == "image/jpeg"
    return made


def outcome(look: Any, data: bytes) -> str:
    try:
        look(data)
    except Unreadable as fault:
        return fault.code
    return "ok"


CODES = {"ok", "CORRUPT_FILE", "LIMIT_EXCEEDED", "UNSUPPORTED_CODEC"}


def code_of(look: Any, data: bytes, **options: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        look(data, **options)
    assert caught.value.message
    return caught.value.code


# --- what is found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["jpg", "png", "gif", "webp", "heic", "tiff", "bmp", "avif"])
def test_every_accepted_format_gives_facts_and_both_renditions(
    look: Any, tmp_path: Path, format_: str
) -> None:
    found = look(samples.image_file(format_, 1600, 1000))
    assert (found.facts["width"], found.facts["height"]) == (1600, 1000)
    assert found.metadata["format"] == format_
    assert found.metadata["frames"] == 1
    assert not found.metadata["animated"]
    assert not found.metadata["has_alpha"]
    assert rendition(found, tmp_path, "preview").size == (1280, 800)
    assert rendition(found, tmp_path, "thumbnail").size == (320, 200)
    reference = fingerprints.phash(picture(1600, 1000))
    assert reference is not None
    assert fingerprints.distance(found.facts["phash"], reference) <= 4
    assert -(2**63) <= found.facts["phash"] < 2**63
    assert len(found.facts["blurhash"]) == 28


def test_a_small_picture_is_not_enlarged(look: Any, tmp_path: Path) -> None:
    found = look(samples.image_file("png", 100, 40))
    assert rendition(found, tmp_path, "preview").size == (100, 40)
    assert rendition(found, tmp_path, "thumbnail").size == (100, 40)


@pytest.mark.parametrize("size", [(1, 1), (1, 60_000), (60_000, 1), (3, 2000), (2000, 3)])
def test_extreme_shapes_keep_at_least_one_pixel(
    look: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    found = look(encoded(Image.new("RGB", size, "red"), "PNG"))
    assert (found.facts["width"], found.facts["height"]) == size
    made = rendition(found, tmp_path, "thumbnail")
    assert min(made.size) >= 1
    assert max(made.size) <= 320


def exif_of(tags: dict[int, Any], detail: dict[int, Any] | None = None, gps: Any = None) -> bytes:
    exif = Image.Exif()
    exif.update(tags)
    if detail:
        exif.get_ifd(0x8769).update(detail)
    if gps:
        exif.get_ifd(0x8825).update(gps)
    return exif.tobytes()


@pytest.mark.parametrize("shape", [(48, 32), (32, 48)])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(
    look: Any, tmp_path: Path, orientation: int, format_: str, shape: tuple[int, int]
) -> None:
    upright = picture(*shape)
    back = {**image._TURNS, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    tags = Image.Exif()
    tags[0x0112] = orientation
    found = look(encoded(stored, format_, exif=tags, quality=95))
    assert (found.facts["width"], found.facts["height"]) == shape
    made = np.asarray(rendition(found, tmp_path, "preview").convert("RGB"), dtype=int)
    assert np.abs(made - np.asarray(upright, dtype=int)).mean() < 20, "another turn differs by 60"
    reference = fingerprints.phash(upright)
    assert reference is not None
    assert fingerprints.distance(found.facts["phash"], reference) <= 8


@pytest.mark.parametrize("rotation", [1, 2, 3])
def test_a_heic_is_turned_as_its_container_says(look: Any, tmp_path: Path, rotation: int) -> None:
    found = look(samples.heic(160, 120, rotation))
    turn = {
        1: Image.Transpose.ROTATE_90,
        2: Image.Transpose.ROTATE_180,
        3: Image.Transpose.ROTATE_270,
    }
    expected = picture(160, 120).transpose(turn[rotation])
    made = rendition(found, tmp_path, "preview")
    assert made.size == expected.size == (found.facts["width"], found.facts["height"])
    difference = np.asarray(made, dtype=int) - np.asarray(expected, dtype=int)
    assert np.abs(difference).mean() < 12


def test_a_heic_tells_its_camera(look: Any) -> None:
    exif = exif_of({271: "Apple", 272: "Phone"}).removeprefix(b"Exif\0\0")
    found = look(samples.heic(160, 120, 0, exif))
    assert found.metadata["camera_make"] == "Apple"


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_an_impossible_orientation_is_upright(look: Any, value: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = value
    found = look(encoded(picture(40, 20), "JPEG", exif=tags))
    assert found.metadata["orientation"] == 1
    assert (found.facts["width"], found.facts["height"]) == (40, 20)


def test_camera_time_and_place_are_told_and_leave_no_trace_in_renditions(
    look: Any, tmp_path: Path
) -> None:
    exif = exif_of(
        {271: "Maker", 272: "Model X", 305: "Soft 1.0", 0x0112: 1},
        {
            36867: "2026:05:01 10:20:30",
            36881: "+02:00",
            0xA434: "50mm f/1.8",
            34855: 200,
            33437: 1.8,
            33434: 0.004,
            37386: 50.0,
        },
        {1: "S", 2: (33.0, 51.0, 54.5), 3: "E", 4: (151.0, 12.0, 36.0), 5: b"\0", 6: 58.2},
    )
    found = look(encoded(picture(), "JPEG", exif=exif))
    assert found.facts["taken_at"] == "2026-05-01T10:20:30+02:00"
    told = found.metadata
    assert (told["camera_make"], told["camera_model"]) == ("Maker", "Model X")
    assert told["lens_model"] == "50mm f/1.8"
    assert told["software"] == "Soft 1.0"
    assert told["gps"] == {"lat": -33.865139, "lon": 151.21, "altitude_m": 58.2}
    assert (told["iso"], told["f_number"], told["exposure_s"]) == (200, 1.8, 0.004)
    assert told["focal_length_mm"] == 50
    for kind in ("preview", "thumbnail"):
        made = rendition(found, tmp_path, kind)
        assert not made.getexif()
        assert b"Exif" not in (tmp_path / f"{kind}.jpg").read_bytes()


@pytest.mark.parametrize(
    ("written", "zone", "expected"),
    [
        ("2026:05:01 10:20:30", "", "2026-05-01T10:20:30"),
        ("2026:05:01 10:20:30", "-03:30", "2026-05-01T10:20:30-03:30"),
        ("2026:05:01 10:20:30", "nonsense", "2026-05-01T10:20:30"),
        ("2026:05:01 10:20:30", "+99:00", "2026-05-01T10:20:30"),
        ("2026:02:31 10:20:30", "", None),
        ("0000:00:00 00:00:00", "", None),
        ("2026:13:01 25:61:61", "", None),
        ("9999:01:01 00:00:00", "", None),
        ("0001:01:01 00:00:00", "", None),
        ("    :  :     :  :  ", "", None),
        ("yesterday", "", None),
    ],
)
def test_a_time_is_told_only_where_it_can_be_true(
    look: Any, written: str, zone: str, expected: str | None
) -> None:
    detail = {36867: written} | ({36881: zone} if zone else {})
    assert look(encoded(picture(), "JPEG", exif=exif_of({}, detail))).facts["taken_at"] == expected


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (10.0, 0.0, 0.0)},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "N", 2: (1.0, 2.0, 3.0)},
    ],
)
def test_a_place_that_cannot_be_is_left_out(look: Any, gps: dict[int, Any]) -> None:
    found = look(encoded(picture(), "JPEG", exif=exif_of({}, None, gps)))
    assert "gps" not in found.metadata


def test_hostile_strings_are_made_plain(look: Any) -> None:
    exif = exif_of(
        {
            271: "<script>alert(1)</script>\x00after",
            272: "=1+1\r\nx\x1b[31m\u202e",
            305: "x" * 100_000,
            315: "\ud800".encode("utf-16-le", "surrogatepass"),
            270: b"bytes \xff\xfe",
        }
    )
    found = look(encoded(picture(), "JPEG", exif=exif[:60_000]))
    for value in found.metadata.values():
        if isinstance(value, str):
            value.encode()
            assert len(value) <= 300
            assert not any(ord(char) < 32 or char == "\u202e" for char in value)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_exif_does_not_spoil_the_picture(look: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    exif = bytearray(
        exif_of({271: "Maker"}, {36867: "2026:05:01 10:20:30"}, {1: "N", 2: (1.0, 2.0, 3.0)})
    )
    for _ in range(6):
        exif[random.integers(6, len(exif))] = random.integers(256)
    found = look(encoded(picture(), "JPEG", exif=bytes(exif)))
    assert found.facts["width"] in (160, 120)  # the orientation may have been hit


# --- modes and colours -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr", "LAB"]
)
def test_every_mode_is_shown(look: Any, tmp_path: Path, mode: str) -> None:
    source = picture(300, 200, "L")
    if mode == "I;16":
        shown = Image.fromarray((np.asarray(source).astype(np.uint16) << 8) + 255)
    elif mode == "I":
        shown = Image.fromarray(np.asarray(source).astype(np.int32) * 7000)
    elif mode == "F":
        shown = Image.fromarray(np.asarray(source).astype(np.float32) / 255)
    elif mode == "LAB":
        shown = Image.merge(
            "LAB", [source, Image.new("L", source.size, 128), Image.new("L", source.size, 128)]
        )
    else:
        shown = source.convert("RGBA").convert(mode) if mode == "LA" else source.convert(mode)
    found = look(encoded(shown, "TIFF"))
    made = np.asarray(rendition(found, tmp_path, "preview").convert("L"), dtype=float)
    expected = np.asarray(source, dtype=float)
    assert np.corrcoef(made.ravel(), expected.ravel())[0, 1] > (0.3 if mode == "1" else 0.97)


def test_a_16_bit_png_keeps_its_brightness(look: Any, tmp_path: Path) -> None:
    dark = Image.fromarray(np.full((40, 40), 6000, np.uint16))
    found = look(encoded(dark, "PNG"))
    assert abs(int(np.asarray(rendition(found, tmp_path, "preview")).mean()) - 6000 // 256) <= 1


def test_a_cmyk_jpeg_has_its_colours(look: Any, tmp_path: Path) -> None:
    found = look(encoded(picture(400, 300).convert("CMYK"), "JPEG", quality=95))
    made = np.asarray(rendition(found, tmp_path, "preview"), dtype=int)
    assert np.abs(made - np.asarray(picture(400, 300), dtype=int)).mean() < 10
    assert found.metadata["mode"] == "CMYK"


@pytest.mark.parametrize(
    ("format_", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("GIF", "P")]
)
def test_what_is_transparent_becomes_white_and_is_told(
    look: Any, tmp_path: Path, format_: str, mode: str
) -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 32, 64))
    shown = clear if mode != "LA" else clear.convert("LA")
    found = look(encoded(shown, format_, lossless=True))
    made = rendition(found, tmp_path, "preview").convert("RGB")
    assert found.metadata["has_alpha"]
    assert np.asarray(made)[32, 56].min() > 240
    assert found.metadata["colours"]["dominant"] in ("#0000ff", "#0000fe", "#1d1d1d", "#1e1e1e")


def test_a_wide_colour_space_is_brought_to_srgb(look: Any, tmp_path: Path) -> None:
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The same profile with red and green exchanged: a space that differs from sRGB beyond doubt.
    tags = {plain[at : at + 4]: at for at in range(132, 132 + 12 * plain[131], 12)}
    swapped = bytearray(plain.replace(b"sRGB", b"test"))
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4
    swapped[red : red + 8], swapped[green : green + 8] = (
        plain[green : green + 8],
        plain[red : red + 8],
    )
    found = look(
        encoded(Image.new("RGB", (64, 64), (255, 0, 0)), "PNG", icc_profile=bytes(swapped))
    )
    made = np.asarray(rendition(found, tmp_path, "preview"))[30, 30]
    assert made[1] > 200
    assert made[0] < 60
    assert "icc_profile" not in rendition(found, tmp_path, "preview").info


@pytest.mark.parametrize("profile", [b"x", b"\0" * 200, b"\0" * 16 + b"RGB " + b"\xff" * 3000])
def test_a_damaged_profile_spoils_no_picture(look: Any, profile: bytes) -> None:
    assert look(encoded(picture(), "JPEG", icc_profile=profile)).facts["width"] == 160


def test_colours_are_the_ones_that_are_seen(look: Any) -> None:
    shown = Image.new("RGB", (100, 100), (250, 10, 10))
    shown.paste((10, 10, 240), (0, 0, 100, 25))
    colours = look(encoded(shown, "PNG")).metadata["colours"]
    first, second = colours["palette"][:2]
    assert colours["dominant"] == first["hex"]
    assert abs(int(first["hex"][1:3], 16) - 250) < 8
    assert first["share"] == pytest.approx(0.75, abs=0.05)
    assert second["share"] == pytest.approx(0.25, abs=0.05)
    assert sum(colour["share"] for colour in colours["palette"]) == pytest.approx(1, abs=0.01)


# --- animations and pages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "animated"),
    [("GIF", True), ("WEBP", True), ("PNG", True), ("AVIF", True), ("TIFF", False)],
)
def test_frames_are_counted_and_the_first_is_shown(
    look: Any, tmp_path: Path, format_: str, animated: bool
) -> None:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue")]
    found = look(encoded(pictures[0], format_, save_all=True, append_images=pictures[1:]))
    assert found.metadata["frames"] == 3
    assert found.metadata["animated"] is animated
    red, green, _ = np.asarray(rendition(found, tmp_path, "preview").convert("RGB"))[20, 30]
    assert red > 200
    assert green < 60


def gif_of(frames: int, size: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", size, size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\4\0\1\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * frames + b";"


@pytest.mark.parametrize(("frames", "size"), [(10_000, 1), (10_000, 4000), (2_000_000, 1)])
def test_ten_thousand_frames_are_counted_not_decoded(look: Any, frames: int, size: int) -> None:
    began = time.process_time()
    found = look(gif_of(frames, size))
    assert time.process_time() - began < 3
    assert found.metadata["frames"] == 10_000


def test_a_tiff_of_two_thousand_pages_or_in_a_ring_ends() -> None:
    from processing.inspectors import frames

    def directory(following: int) -> bytes:
        return struct.pack("<HHHIII", 1, 256, 3, 1, 1, following)

    folder = b"II*\0\x08\0\0\0"
    chain = b"".join(directory(8 + 18 * (n + 1) if n < 2000 else 0) for n in range(2001))
    for data, expected in ((folder + chain, 2001), (folder + directory(8), 1), (folder, 0)):
        assert count_tiff(data, frames) == expected


def count_tiff(data: bytes, frames: Any) -> int:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        count: int = frames.count_tiff(Path(file.name))
        return count


# --- hashes ------------------------------------------------------------------------------------------


def test_the_hash_stays_near_when_a_picture_is_changed_a_little() -> None:
    original = picture(1200, 900)
    known = fingerprints.phash(original)
    assert known is not None
    for changed in (
        original.resize((400, 300)),
        Image.open(io.BytesIO(encoded(original, "JPEG", quality=30))),
        original.point(lambda value: min(255, value + 15)),
        original.convert("L"),
    ):
        other = fingerprints.phash(changed)
        assert other is not None
        assert fingerprints.distance(known, other) <= 8


def test_hashes_of_different_pictures_lie_far_apart() -> None:
    hashes = [fingerprints.phash(picture(seed=seed)) for seed in range(30)]
    distances = [
        fingerprints.distance(a, b)
        for n, a in enumerate(hashes)
        for b in hashes[:n]
        if a is not None and b is not None
    ]
    assert min(distances) > 10
    assert 28 < sum(distances) / len(distances) < 36


@pytest.mark.parametrize("colour", ["black", "white", "#808080"])
def test_a_picture_of_one_colour_has_no_hash(colour: str) -> None:
    assert fingerprints.phash(Image.new("RGB", (300, 200), colour)) is None


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63), 0x0123_4567_89AB_CDEF])
def test_bands_are_the_four_quarters(value: int) -> None:
    parts = fingerprints.bands(value)
    assert all(0 <= part < 65536 for part in parts)
    joined = parts[0] << 48 | parts[1] << 32 | parts[2] << 16 | parts[3]
    assert joined == value & (2**64 - 1)
    assert fingerprints.distance(value, value ^ 0b101) == 2


BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def decode_blurhash(text: str, width: int, height: int) -> np.ndarray[Any, Any]:
    """A decoder as the pages have one, written from the format's description."""

    def number(piece: str) -> int:
        value = 0
        for char in piece:
            value = value * 83 + BASE83.index(char)
        return value

    columns, rows = number(text[0]) % 9 + 1, number(text[0]) // 9 + 1
    most = (number(text[1]) + 1) / 166
    first = number(text[2:6])
    srgb = np.array([first >> 16, first >> 8 & 255, first & 255]) / 255
    light = [np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)]
    for n in range(1, columns * rows):
        value = number(text[4 + n * 2 : 6 + n * 2])
        levels = np.array([value // 361, value // 19 % 19, value % 19]) - 9
        light.append(np.sign(levels) * (levels / 9) ** 2 * most)
    image_ = np.zeros((height, width, 3))
    for n, colour in enumerate(light):
        across = np.cos(np.pi * np.arange(width) * (n % columns) / width)
        down = np.cos(np.pi * np.arange(height) * (n // columns) / height)
        image_ += down[:, None, None] * across[None, :, None] * colour
    image_ = image_.clip(0, 1)
    srgb = np.where(image_ <= 0.0031308, image_ * 12.92, 1.055 * image_ ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255)


def test_a_blurhash_decodes_to_a_blurred_picture() -> None:
    original = picture(320, 240, seed=5)
    small = np.asarray(original.resize((8, 6), Image.Resampling.BOX), dtype=float)
    decoded = decode_blurhash(fingerprints.blurhash(original), 64, 48)
    blurred = decoded.reshape(6, 8, 8, 8, 3).mean(axis=(1, 3))
    assert np.abs(blurred.mean((0, 1)) - small.mean((0, 1))).max() < 15
    assert np.corrcoef(blurred.ravel(), small.ravel())[0, 1] > 0.5


def test_a_blurhash_of_one_colour_has_no_waves() -> None:
    assert fingerprints.blurhash(Image.new("RGB", (64, 64), "black")) == "L00000" + "fQ" * 11
    assert fingerprints.blurhash(Image.new("RGB", (9, 9), "white")) == "L0TSUA" + "fQ" * 11


def test_two_threads_scale_without_a_seam() -> None:
    shown = Image.fromarray(
        np.random.default_rng(1).integers(0, 256, (1201, 1603, 3), dtype=np.uint8)
    )
    halves = np.asarray(renditions.scaled(shown, (1280, 959)), dtype=int)
    whole = np.asarray(shown.resize((1280, 959), Image.Resampling.HAMMING), dtype=int)
    assert np.abs(halves - whole).max() <= 1


# --- hostile bytes -----------------------------------------------------------------------------------


def png_header(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg_header(side: int) -> bytes:
    data = samples.image_file("jpg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


BOMBS = {
    "png 30000 squared": png_header(30_000, 30_000),
    "png 30000 squared, one bit": png_header(30_000, 30_000, depth=1, colour=0),
    "png header of 2^31-1": png_header(2**31 - 1, 2**31 - 1),
    "png 13000 squared": png_header(13_000, 13_000),
    "png just over the limit": png_header(10_000, 5_001),
    "jpeg 65500 squared": jpeg_header(65_500),
    "gif canvas of 65535 squared": gif_of(1, 65_535),
    "webp 14000 squared": encoded(
        Image.new("1", (1, 1)).convert("RGB"), "WEBP", lossless=True
    ).replace(b"\x2f" + bytes(4), b"\x2f" + (13_999 | 13_999 << 14).to_bytes(4, "little")),
    "bmp 2e9 wide": b"BM"
    + struct.pack("<IHHI", 100, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 2_000_000_000, 2_000_000_000, 1, 24, 0, 0, 0, 0, 0, 0)
    + bytes(50),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_is_refused_by_its_header(look: Any, tmp_path: Path, what: str) -> None:
    began = time.process_time()
    assert code_of(look, BOMBS[what]) == "LIMIT_EXCEEDED"
    assert time.process_time() - began < 1
    assert [path.name for path in tmp_path.iterdir()] == ["source"], "nothing is written"


def test_a_tiff_bomb_is_refused_by_its_header(look: Any) -> None:
    flat = Image.new("1", (7200, 7200))
    assert code_of(look, encoded(flat, "TIFF", compression="group4")) == "LIMIT_EXCEEDED"


def test_the_limit_on_pixels_is_the_callers(look: Any) -> None:
    data = samples.image_file("png", 160, 120)
    assert look(data, max_pixels=160 * 120).facts["width"] == 160
    assert code_of(look, data, max_pixels=160 * 120 - 1) == "LIMIT_EXCEEDED"
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS > 50_000_000, "Pillow's own limit is put back"


def text_chunk(name: bytes, size: int) -> bytes:
    packed = zlib.compress(b"x" * size, 9)
    content = b"key\0\0" + packed
    body = name + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    data = samples.image_file("png")
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_a_packed_chunk_is_not_unpacked_whole(look: Any, name: bytes) -> None:
    began = time.process_time()
    assert outcome(look, text_chunk(name, 50_000_000)) in ("ok", "LIMIT_EXCEEDED", "CORRUPT_FILE")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("format_", ["jpg", "png", "webp", "heic", "avif", "bmp", "tiff"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_picture_cut_short_is_corrupt(look: Any, format_: str, share: float) -> None:
    data = samples.image_file(format_, 400, 300)
    assert code_of(look, data[: int(len(data) * share)]) == "CORRUPT_FILE"


def test_a_cut_jpeg_that_is_scaled_while_decoding_is_corrupt_too(look: Any) -> None:
    data = encoded(picture(3200, 2400), "JPEG", quality=90)
    assert code_of(look, data[: len(data) // 2]) == "CORRUPT_FILE"


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"not a picture at all", b"\xff\xd8\xff\xe0", samples.pdf()]
)
def test_what_is_no_picture_is_corrupt(look: Any, data: bytes) -> None:
    assert code_of(look, data) == "CORRUPT_FILE"


@pytest.mark.parametrize("format_", ["jpg", "png", "gif", "webp", "heic", "tiff", "bmp", "avif"])
def test_flipped_bytes_end_in_a_code_or_a_picture(look: Any, format_: str) -> None:
    data = samples.image_file(format_)
    random = np.random.default_rng(7)
    for _ in range(40):
        hurt = bytearray(data)
        for at in random.integers(0, min(len(data), 600), 4):
            hurt[at] = random.integers(256)
        assert outcome(look, bytes(hurt)) in CODES


def test_an_unknown_packing_is_an_unsupported_codec(look: Any) -> None:
    data = encoded(picture(), "TIFF")
    entry = struct.pack("<HHII", 259, 3, 1, 1)  # compression: none
    assert entry in data
    assert code_of(look, data.replace(entry, struct.pack("<HHII", 259, 3, 1, 34887))) in (
        "UNSUPPORTED_CODEC",
        "CORRUPT_FILE",
    )


def test_what_hides_in_or_behind_a_picture_is_not_in_its_renditions(
    look: Any, tmp_path: Path
) -> None:
    payload = b"<script>alert(1)</script><?php system('id'); ?>"
    data = samples.image_file("jpg")
    comment = b"\xff\xfe" + struct.pack(">H", len(payload) + 2) + payload
    look(data[:2] + comment + data[2:] + samples.zip_file({"evil": payload}))
    for kind in ("preview", "thumbnail"):
        made = (tmp_path / f"{kind}.jpg").read_bytes()
        assert b"script" not in made
        assert b"PK\x03\x04" not in made


def test_options_may_come_as_json_with_more_than_we_know(look: Any) -> None:
    assert look(samples.image_file("png"), max_pixels=100_000, unknown=1).facts["width"] == 160


def test_the_result_is_plain_json(look: Any) -> None:
    import json

    exif = exif_of(
        {271: "Maker"},
        {36867: "2026:05:01 10:20:30", 34855: 200},
        {1: "N", 2: (1.0, 2.0, 3.0), 3: "E", 4: (1.0, 1.0, 1.0)},
    )
    found = look(encoded(picture(), "JPEG", exif=exif))
    assert json.loads(json.dumps(found.as_json(), allow_nan=False)) == found.as_json()
