"""How the bytes of a file show that its end is missing, or that another recording follows behind it.

Each container that knows its length in advance says so in bytes; some mark their last page, and others have packets
of a known length. A file that was cut off exactly between two packets of a container that does none of this can't be
told from a whole one.

Not here: durations, and what ffmpeg notices while it reads (`extent`).
"""

from __future__ import annotations

from pathlib import Path

MIDDLE = "in the middle of a packet"
# How files begin in which ffmpeg reads no more than the first of several recordings.
ASF = b"\x30\x26\xb2\x75"
BEGINNINGS = (b"RIFF", b"FORM", b"FLV\x01", b"caff", ASF)
# Larger sizes of 32 bits stand for "not known": a WAV that was written into a pipe.
PLACEHOLDER_BYTES = 0x7FFF_0000
# ASF's "file properties", whose field at 40 is the file's size (Advanced Systems Format specification, 3.2).
ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
TS_PACKETS = (188, 192, 204)  # bytes: plain, with a time (Blu-ray), with error correction
LOOK_BYTES = 1 << 16  # an Ogg page is shorter
TAG_BYTES = 4096  # less behind a WAV's sound may be padding, or a tag
# ISO 11172-3 and 13818-3: kbit/s by index, of MPEG-1 in layers I, II and III, of MPEG-2 in I and the others.
KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MPEG_HZ = (44_100, 48_000, 32_000)


def cut_short(media: Path, kind: str, last: bytes) -> str | None:
    """Where a file ends that should go on, in words; None where its bytes don't show it.

    Args:
        kind: the container, as ffmpeg calls it.
        last: its last packet of sound.
    """
    size = media.stat().st_size
    with media.open("rb") as file:
        head = file.read(LOOK_BYTES)
        file.seek(max(0, size - LOOK_BYTES))
        tail = file.read()
    if kind == "ogg":
        page = tail.rfind(b"OggS")
        return None if page >= 0 and tail[page + 5] & 4 else "without the mark of a last page"
    if kind == "mpegts":
        length = next((n for n in TS_PACKETS if _is_ts(head, n)), None)
        return MIDDLE if length and size % length else None
    if kind in ("mp3", "mp2") and _mpeg_audio_bytes(last) > len(last):
        return MIDDLE
    return "before its header says" if promised_bytes(head) > size else None


def lacks_index(media: Path) -> bool:
    """Whether a file is an MP4 without its index (`moov`), which a camera writes last (ISO/IEC 14496-12, 4.2)."""
    found, at = [], 0
    with media.open("rb") as file:
        while len(box := file.read(16)) >= 8:
            length = int.from_bytes(box[:4], "big")
            if length == 1:  # the next 8 bytes hold it
                length = int.from_bytes(box[8:16], "big")
            found.append(box[4:8])
            if length < 8:  # up to the file's end, or no box
                break
            at += length
            file.seek(at)
    return b"ftyp" in found[:1] and b"moov" not in found


def is_followed(media: Path, read_bytes: int) -> bool:
    """Whether another recording of the same kind begins behind what was read of a file, as `cat` joins them."""
    with media.open("rb") as file:
        begins = file.read(4)
        file.seek(read_bytes)
        return begins in BEGINNINGS and begins in file.read(LOOK_BYTES)


def outgrows_header(media: Path) -> bool:
    """Whether a WAV's sound surely goes on behind the length that its header says.

    As where a recorder died after it had last written the header, or the 32 bits of the length were too few: what lies
    behind the sound begins with no chunk, or with one that is longer than the file.
    """
    size = media.stat().st_size
    with media.open("rb") as file:
        head = file.read(LOOK_BYTES)
        at, length, name = 12, 0, head[8:12]
        if head[:4] != b"RIFF" or name != b"WAVE":
            return False
        while name and name != b"data":
            at += length + length % 2
            name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
            at += 8
        if not 0 < length < PLACEHOLDER_BYTES:  # as above, or there is no sound
            return False
        end = at + length
        file.seek(end)
        behind = file.read(LOOK_BYTES)
    starts = [start for start in (0, length % 2) if _is_chunk(behind[start:], size - end - start)]
    return len(behind) >= TAG_BYTES and any(behind) and not starts


def _is_chunk(there: bytes, length: int) -> bool:
    """Whether bytes that go on to a file's end begin with a RIFF chunk, or with a tag that players write behind it."""
    fits = int.from_bytes(there[4:8], "little") <= length - 8
    return there[:3] == b"ID3" or (fits and all(0x20 <= byte < 0x7F for byte in there[:4]))


def promised_bytes(head: bytes) -> int:
    """How long a RIFF (WAV, AVI), RF64, Wave64, AIFF, CAF or ASF file says that it is; 0 where it doesn't.

    https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html, EBU Tech 3306 (RF64), and Apple's Core Audio
    Format specification.
    """
    if head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64":
        return int.from_bytes(head[20:28], "little") + 8
    if head[:4] in (b"RIFF", b"FORM"):
        size = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        return size + 8 if 0 < size < PLACEHOLDER_BYTES else 0
    if head[:4] == b"riff":
        return int.from_bytes(head[16:24], "little")
    if head[:4] == b"caff":
        return _caf_bytes(head)
    at = head.find(ASF_PROPERTIES) if head[:4] == ASF else -1
    return int.from_bytes(head[at + 40 : at + 48], "little") if at >= 0 else 0


def _caf_bytes(head: bytes) -> int:
    """The end of a CAF's sound: chunks of a name and a length follow a header of 8 bytes; −1 is not known."""
    at = 8
    while at + 12 <= len(head):
        length = int.from_bytes(head[at + 4 : at + 12], "big", signed=True)
        if head[at : at + 4] == b"data":
            return max(0, at + 12 + length)
        at += 12 + max(0, length)
    return 0


def _is_ts(head: bytes, length: int) -> bool:
    """Whether MPEG-TS packets of this length begin a file: each begins with 0x47, after a time in the longer ones."""
    return all(byte == 0x47 for byte in head[length - 188 if length == 192 else 0 :: length][:8])


def _mpeg_audio_bytes(packet: bytes) -> int:
    """How long a frame of MPEG audio is by its header (ISO 11172-3, 2.4.2.3); 0 where there is none."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE0 != 0xE0:
        return 0
    version = {3: 1, 2: 2, 0: 2.5}.get(packet[1] >> 3 & 3)
    layer = 4 - (packet[1] >> 1 & 3)
    rate, bits, padding = packet[2] >> 2 & 3, packet[2] >> 4, packet[2] >> 1 & 1
    if version is None or layer > 3 or rate == 3 or bits == 15:
        return 0
    kbits = KBITS[1 if version == 1 else 2, layer if version == 1 else min(layer, 2)][bits]
    rate_hz = MPEG_HZ[rate] / {1: 1, 2: 2, 2.5: 4}[version]
    slot = 4 if layer == 1 else 1
    samples = {1: 384, 2: 1152, 3: 1152 if version == 1 else 576}[layer]
    return (int(samples / 8 / slot * kbits * 1000 / rate_hz) + padding) * slot
