# SPDX-License-Identifier: Apache-2.0
"""Read a log of dm-log-writes (QEMU's blklogwrites makes the same), and replay what a power cut leaves of it.

The format: a super block of one sector {magic, version, number of entries, sector size}; then for each entry a sector
{sector, number of sectors, flags, length of data} and the written sectors. What was written before a flush is
on the disk when that is over. What came after the last flush may be there or not, sector by sector.
"""
import struct

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
UNIT = 512  # what the log counts in, whatever the disk's sectors are


class Entry:
    __slots__ = ("start", "length", "flags", "at")

    def __init__(self, start, length, flags, at):
        self.start, self.length, self.flags, self.at = start, length, flags, at


class Log:
    """.entries: in the order in which the disk was asked; .marks: {number of the entry: text}."""

    def __init__(self, path, marks_from, magic=b"mark "):
        self.file = open(path, "rb")
        number, version, count, size = struct.unpack("<QQQI", self.file.read(28))
        if number != MAGIC or version != 1 or size != UNIT:
            raise ValueError(f"{path} is no log of writes")
        self.entries, self.marks = [], {}
        at = size
        for index in range(count):
            self.file.seek(at)
            start, sectors, flags, _ = struct.unpack("<QQQQ", self.file.read(32))
            at += size
            if flags & ~(FLUSH | FUA) or (flags & FLUSH and sectors):
                raise ValueError(f"{path}: entry {index}: flags {flags:#x}, {sectors} sectors")
            entry = Entry(start * UNIT, sectors * UNIT, flags, at)
            at += entry.length
            self.entries.append(entry)
            if entry.length and entry.start >= marks_from:
                text = self.data(entry).rstrip(b"\0")
                if not text.startswith(magic):
                    raise ValueError(f"{path}: entry {index}: no mark in the place of marks")
                self.marks[index] = text[len(magic):].decode().strip()

    def data(self, entry):
        self.file.seek(entry.at)
        data = self.file.read(entry.length)
        if len(data) != entry.length:
            raise ValueError("the log is cut off")
        return data

    def flushes(self):
        """Numbers of the entries that are flushes with a write since the one before."""
        found, is_dirty = [], False
        for index, entry in enumerate(self.entries):
            if entry.length:
                is_dirty = is_dirty or index not in self.marks
            if entry.flags & FLUSH and is_dirty:
                found.append(index)
                is_dirty = False
        return found


class Replay:
    """A disk image that goes forward through a log; what is not flushed yet waits in memory."""

    def __init__(self, log, path, sector):
        self.log, self.sector = log, sector
        # ext4's super block has a checksum over two sectors of 512, is written in place, and has no second
        # copy that a mount would look for.
        self.whole = 4096
        self.file = open(path, "r+b", buffering=0)
        self.next = 0
        self.waiting = []

    def close(self):
        self.file.close()

    def go_to(self, index):
        """Everything up to the entry @index, without it: flushed writes in the file, others in .waiting."""
        for number in range(self.next, index):
            entry = self.log.entries[number]
            if entry.flags & FLUSH:
                write_all(self.file, ((e.start, self.log.data(e)) for e in self.waiting))
                self.waiting = []
            if entry.length and number not in self.log.marks:
                if entry.flags & FUA:
                    write_all(self.file, [(entry.start, self.log.data(entry))])
                else:
                    self.waiting.append(entry)
        self.next = max(self.next, index)

    def cut_up(self, entry):
        """A write, sector by sector."""
        data, offset = self.log.data(entry), 0
        while offset < len(data):
            start = entry.start + offset
            size = self.whole - start if start < self.whole else self.sector
            yield start, data[offset:offset + size]
            offset += size

    def pieces(self):
        """The waiting writes, sector by sector, in their order."""
        for entry in self.waiting:
            yield from self.cut_up(entry)


def write_all(file, pieces):
    for start, data in pieces:
        file.seek(start)
        file.write(data)


# What may become of writes that were not flushed. Each takes Replay and random.Random, and returns pieces.


def all_of_them(replay, _):
    return list(replay.pieces())


def none_of_them(_, __):
    return []


def a_part(replay, random):
    """Each write is there, torn, or lost."""
    share = random.choice((0.1, 0.5, 0.9))
    found = []
    for entry in replay.waiting:
        whole = random.random() < share
        torn = random.random() < 0.3
        found += [piece for piece in replay.cut_up(entry) if (random.random() < 0.5 if torn else whole)]
    return found


def the_late_ones(replay, random):
    """The last ones came first to the disk, the first ones not at all."""
    pieces = list(replay.pieces())
    return pieces[random.randrange(len(pieces) + 1):]


def sectors_at_random(replay, random):
    """A write to a place that is written again later may win: the disk is free in its order."""
    pieces = [piece for piece in replay.pieces() if random.random() < 0.6]
    random.shuffle(pieces)
    return pieces


WAYS = [all_of_them, a_part, the_late_ones, sectors_at_random]
