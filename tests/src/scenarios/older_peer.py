# SPDX-License-Identifier: GPL-2.0
"""A peer of an older protocol version, made from the sheet and from nothing of ours.

older_peer.py VERSION target|source: talks to 10.0.0.1:7789 until /tmp/stop is there. As `target` it
is a Secondary that is synced from the Primary; what it got is in /tmp/peer.img, and the generation in
/tmp/peer.uuid, with which it comes back. As `source` it is the Primary, with the data of /tmp/peer.img.
Whatever the sheet does not allow at this version ends it with an error.

Every number is from wire-protocol.md; the sections are named where it is not obvious.
"""
import os
import select
import socket
import struct
import sys

VERSION, ROLE = int(sys.argv[1]), sys.argv[2]
IMAGE, GENERATION, STOP = "/tmp/peer.img", "/tmp/peer.uuid", "/tmp/stop"
ADDRESS = ("10.0.0.1", 7789)

DATA, DATA_REPLY, RS_DATA_REPLY, BARRIER, BITMAP, UNPLUG = 0, 1, 2, 3, 4, 7
DATA_REQUEST, RS_DATA_REQUEST, SYNC_PARAM, PROTOCOL, UUIDS, SIZES, STATE, SYNC_UUID = range(8, 16)
PING, PING_ACK, RECV_ACK, WRITE_ACK, RS_WRITE_ACK = range(0x13, 0x18)
BARRIER_ACK, SYNC_PARAM89, COMPRESSED_BITMAP = 0x1C, 0x23, 0x24
INITIAL_META, INITIAL_DATA, FEATURES = 0xFFF1, 0xFFF2, 0xFFFE

PRIMARY, SECONDARY = 1, 2
WF_CONNECTION, CONNECTED, WF_BITMAP_S, WF_BITMAP_T = 8, 10, 13, 14
SYNC_SOURCE, SYNC_TARGET = 16, 17
INCONSISTENT, OUTDATED, UNKNOWN, UP_TO_DATE = 4, 5, 6, 8
SYNCER = 2**64 - 1
JUST_CREATED = 4
BLOCK = 4096
# 4.9 and 5.7: the largest request.
LARGEST = 32 << 10 if VERSION <= 94 else 128 << 10 if VERSION <= 99 else 1 << 20


def must(holds, what):
    if not holds:
        raise SystemExit(f"version {VERSION}: {what}")


class Socket:
    """A socket of the two, with its packets."""

    def __init__(self, first):
        while True:
            self.socket = socket.socket()
            self.socket.settimeout(20)
            if self.socket.connect_ex(ADDRESS) == 0:
                break
            self.socket.close()
            select.select([], [], [], 0.1)
        self.version = 80
        self.send(first)

    def send(self, command, payload=b""):
        if self.version >= 100:
            head = struct.pack(">IHHII", 0x8620EC20, 0, command, len(payload), 0)
        elif self.version >= 95 and len(payload) > 32768:
            head = struct.pack(">HHI", 0x835A, command, len(payload))
        else:
            head = struct.pack(">IHH", 0x83740267, command, len(payload))
        self.socket.sendall(head + payload)

    def take(self, size):
        taken = b""
        while len(taken) < size:
            more = self.socket.recv(size - len(taken))
            must(more, "the other end closed the connection")
            taken += more
        return taken

    def receive(self):
        """Command and payload of the next packet, whose header must be that of the version."""
        if self.version >= 100:
            magic, volume, command, length, pad = struct.unpack(">IHHII", self.take(16))
            must((magic, volume, pad) == (0x8620EC20, 0, 0), f"header {magic:x} {volume} {pad}")
            return command, self.take(length)
        head = self.take(8)
        if head[:2] == b"\x83\x5a":
            command, length = struct.unpack(">HI", head[2:])
            must(self.version >= 95 and length > 32768, f"header95 for {length} bytes")
        else:
            magic, command, length = struct.unpack(">IHH", head)
            must(magic == 0x83740267, f"magic {magic:x}")
        return command, self.take(length)


def runs_of(code, set_first, pad):
    """The runs of a compressed bitmap (9.5)."""
    levels = [(1, 0, 1), (2, 1, 1), (3, 3, 2), (4, 7, 3), (5, 15, 5), (6, 31, 8)]
    levels += [(8, 0x3F, 13), (8, 0x7F, 21), (8, 0xBF, 34), (8, 0xFF, 56)]
    bits, left = int.from_bytes(code, "little"), 8 * len(code) - pad
    while left:
        low = 1
        for prefix_bits, prefix, data_bits in levels:
            if bits & ((1 << prefix_bits) - 1) == prefix:
                break
            low += 1 << data_bits
        size = prefix_bits + data_bits
        must(size <= left, "a compressed bitmap breaks off")
        yield set_first, low + ((bits >> prefix_bits) & ((1 << data_bits) - 1))
        bits, left, set_first = bits >> size, left - size, not set_first


class Peer:
    def __init__(self):
        self.data = Socket(INITIAL_DATA)
        self.meta = Socket(INITIAL_META)
        self.conn, self.sequence, self.epoch = WF_CONNECTION, 0, 0
        self.disk = INCONSISTENT if ROLE == "target" else UP_TO_DATE
        self.generation = JUST_CREATED
        if ROLE == "source":
            self.generation = int.from_bytes(os.urandom(8), "big") | 1
        elif os.path.exists(GENERATION):
            self.generation = int(open(GENERATION).read())
            self.disk = UP_TO_DATE
        self.missing, self.asked, self.position, self.sums = set(), 0, 0, {}
        self.wrote, self.acked, self.barriers, self.written = 0, 0, 0, False

    # --- The handshake -------------------------------------------------------------------

    def state(self, conn):
        role, other = (PRIMARY, SECONDARY) if ROLE == "source" else (SECONDARY, PRIMARY)
        peer_disk = UP_TO_DATE if ROLE == "target" or conn == CONNECTED else INCONSISTENT
        if conn == WF_CONNECTION:
            other, peer_disk = 0, UNKNOWN
        self.conn = conn
        word = role | other << 2 | conn << 4 | self.disk << 9 | peer_disk << 13
        self.data.send(STATE, struct.pack(">I", word))

    def expect(self, command, length):
        got, payload = self.data.receive()
        must(got == command, f"packet {got:#x} instead of {command:#x}")
        must(len(payload) in length, f"packet {got:#x} of {len(payload)} bytes, not {length}")
        return payload

    def handshake(self):
        self.data.send(FEATURES, struct.pack(">IIII56x", min(86, VERSION), 0, VERSION, 0))
        low, _, high, _ = struct.unpack(">IIII56x", self.expect(FEATURES, [72]))
        must(low <= 86 and high == 101, f"protocol versions {low} to {high}")
        self.data.version = self.meta.version = VERSION
        name = [] if VERSION < 87 else [0]
        protocol = self.expect(PROTOCOL, [24 + len(name)])
        must(protocol[:4] == b"\0\0\0\3", "not protocol C")
        parameters = SYNC_PARAM if VERSION < 89 else SYNC_PARAM89
        length = 4 if VERSION < 88 else 5 if VERSION < 89 else 132 if VERSION < 95 else 148
        rates = self.expect(parameters, [length])
        sizes = self.expect(SIZES, [32])
        disk, limit, self.sectors, largest, order, flags = struct.unpack(">QQQIHH", sizes)
        must(largest <= LARGEST and (order, flags) == (0, 0), f"sizes {largest} {order} {flags}")
        if not self.sectors:
            self.sectors = min(disk, limit or disk)
        uuids = struct.unpack(">6Q", self.expect(UUIDS, [48]))
        self.theirs = uuids[0]
        (word,) = struct.unpack(">I", self.expect(STATE, [4]))
        must(word & 3 == (PRIMARY if ROLE == "target" else SECONDARY), f"state {word:x}")
        self.data.send(PROTOCOL, protocol)
        self.data.send(parameters, rates)
        sizes = (disk, limit, self.sectors, LARGEST, 0, 0)
        self.data.send(SIZES, struct.pack(">QQQIHH", *sizes))
        # A source has marked nothing: a target that was just created is synced fully.
        ours = (self.generation, 0, 0, 0, 0, 0)
        self.data.send(UUIDS, struct.pack(">6Q", *ours))
        self.state(WF_CONNECTION)
        if not os.path.exists(IMAGE) or os.path.getsize(IMAGE) != self.sectors << 9:
            fill = os.urandom if ROLE == "source" else bytes
            open(IMAGE, "wb").write(fill(self.sectors << 9))
        self.image = open(IMAGE, "r+b")
        self.bits = (self.sectors + 7) // 8
        full = self.theirs & ~1 == JUST_CREATED or self.generation == JUST_CREATED
        self.missing = set(range(self.bits)) if full else set()
        if ROLE == "target":
            self.disk = min(self.disk, OUTDATED)
            self.state(WF_BITMAP_T)
        else:
            self.state(WF_BITMAP_S)
            self.send_bitmap()

    # --- The bitmap (9.4) ----------------------------------------------------------------

    def send_bitmap(self):
        image = bytearray((self.bits + 63) // 64 * 8)
        for bit in self.missing:
            image[bit // 8] |= 1 << bit % 8
        chunk = 4088 if VERSION < 100 else 4080
        for start in range(0, len(image), chunk):
            self.data.send(BITMAP, bytes(image[start : start + chunk]))
        self.data.send(BITMAP)

    def bitmap_comes(self, command, payload):
        if command == BITMAP:
            self.position -= self.position % 64
            for byte in payload:
                for bit in range(8):
                    if byte >> bit & 1:
                        self.missing.add(self.position + bit)
                self.position += 8
            ends = not payload
        else:
            must(VERSION >= 90 and payload[0] & 15 == 2, f"compressed bitmap {payload[:1]}")
            for is_set, run in runs_of(payload[1:], payload[0] >> 7, payload[0] >> 4 & 7):
                if is_set:
                    self.missing.update(range(self.position, self.position + run))
                self.position += run
            ends = self.position >= self.bits
        if ends and ROLE == "target":
            self.send_bitmap()
        elif ends:
            self.sync_uuid = int.from_bytes(os.urandom(8), "big") & ~1
            self.data.send(SYNC_UUID, struct.pack(">Q", self.sync_uuid))
            self.state(SYNC_SOURCE)

    # --- As a target -----------------------------------------------------------------------

    def write(self, sector, content):
        must((sector << 9) + len(content) <= self.sectors << 9, "a write beyond the end")
        self.image.seek(sector << 9)
        self.image.write(content)

    def ask(self):
        """Asks for what is missing: all of it, it is not much."""
        left = sorted(self.missing)
        self.asked = len(left)
        most = LARGEST // BLOCK
        while left:
            size = 1
            while size < min(most, len(left)) and left[size] == left[0] + size:
                size += 1
            length = min(size * BLOCK, (self.sectors << 9) - left[0] * BLOCK)
            request = struct.pack(">QQII", left[0] * 8, SYNCER, length, 0)
            self.data.send(RS_DATA_REQUEST, request)
            left = left[size:]

    def acknowledge(self, command, sector, block_id, size):
        self.sequence += 1
        self.meta.send(command, struct.pack(">QQII", sector, block_id, size, self.sequence))

    def synced(self):
        self.meta.send(PING)
        self.after_ping = self.finish

    def finish(self):
        self.disk, self.generation = UP_TO_DATE, self.theirs & ~1
        open(GENERATION, "w").write(str(self.generation))
        self.state(CONNECTED)

    def replicated(self, payload):
        sector, block_id, _, flags = struct.unpack(">QQII", payload[:24])
        known = 2 | 4 if VERSION < 95 else 2 | 4 | 16 | 32 if VERSION < 100 else 2 | 4 | 16 | 32 | 256
        must(flags & ~known == 0, f"flags {flags:#x} of a write")
        must(VERSION < 100 or flags & 256, f"flags {flags:#x} of a write want no ack")
        must(len(payload) - 24 <= LARGEST, f"a write of {len(payload) - 24} bytes")
        self.write(sector, payload[24:])
        self.epoch, self.wrote = self.epoch + 1, self.wrote + 1
        in_sync = flags & 4 and self.conn == SYNC_TARGET
        ack = RS_WRITE_ACK if in_sync else WRITE_ACK
        self.acknowledge(ack, sector, block_id, len(payload) - 24)

    # --- As a source -----------------------------------------------------------------------

    def send_writes(self):
        """Forty writes, an epoch each ten; the content goes into the image as well."""
        for number in range(40):
            sector, content = number * 24, os.urandom(512 * (1 + number % 16))
            self.write(sector, content)
            self.sequence += 1
            flags = 256 if VERSION >= 100 else 0
            head = struct.pack(">QQII", sector, 1000 + number, self.sequence, flags)
            self.data.send(DATA, head + content)
            self.sums[1000 + number] = (sector, len(content))
            if number % 10 == 9:
                self.data.send(BARRIER, struct.pack("=II", number, 0))
        self.written = True

    def answer(self, sector, block_id, size, reply):
        must(size <= LARGEST and size % 512 == 0, f"a request for {size} bytes")
        self.image.seek(sector << 9)
        self.data.send(reply, struct.pack(">QQII", sector, block_id, 0, 0) + self.image.read(size))

    # --- Packets -----------------------------------------------------------------------------

    def on_data(self, command, payload):
        if command in (BITMAP, COMPRESSED_BITMAP):
            self.bitmap_comes(command, payload)
        elif command == SYNC_UUID and ROLE == "target":
            self.disk = INCONSISTENT
            self.state(SYNC_TARGET)
            self.ask()
        elif command == RS_DATA_REPLY and ROLE == "target":
            sector, block_id, _, _ = struct.unpack(">QQII", payload[:24])
            must(block_id == SYNCER, f"block id {block_id:x}")
            self.write(sector, payload[24:])
            size = len(payload) - 24
            self.missing -= set(range(sector // 8, (sector + (size >> 9) + 7) // 8))
            self.acknowledge(RS_WRITE_ACK, sector, block_id, size)
            if not self.missing:
                self.synced()
        elif command == DATA and ROLE == "target":
            self.replicated(payload)
        elif command == BARRIER and ROLE == "target":
            must(self.epoch, "a barrier behind no write")
            self.image.flush()
            self.meta.send(BARRIER_ACK, payload[:4] + struct.pack(">I", self.epoch))
            self.epoch = 0
        elif command == RS_DATA_REQUEST and ROLE == "source":
            sector, block_id, size, _ = struct.unpack(">QQII", payload)
            self.answer(sector, block_id, size, RS_DATA_REPLY)
        elif command == STATE:
            (word,) = struct.unpack(">I", payload)
            conn, disk = word >> 4 & 31, word >> 9 & 15
            if ROLE == "source" and VERSION >= 96 and (conn, disk) == (CONNECTED, UP_TO_DATE):
                self.source_finishes()
        else:
            must(command in (UUIDS, SIZES, UNPLUG), f"packet {command:#x} on the data socket")

    def source_finishes(self):
        if self.conn == SYNC_SOURCE:
            must(not self.missing, f"the target is done, {len(self.missing)} blocks are not")
            self.state(CONNECTED)
            self.send_writes()

    def on_meta(self, command, payload):
        if command == PING:
            self.meta.send(PING_ACK)
        elif command == PING_ACK:
            self.after_ping()
        elif command == RS_WRITE_ACK and ROLE == "source":
            sector, block_id, size, _ = struct.unpack(">QQII", payload)
            must(block_id == SYNCER, f"block id {block_id:x}")
            self.missing -= set(range(sector // 8, (sector + (size >> 9) + 7) // 8))
            # 9.8: up to version 95 the source sees the end by itself.
            if not self.missing and VERSION <= 95:
                self.source_finishes()
        elif command == WRITE_ACK and ROLE == "source":
            sector, block_id, size, _ = struct.unpack(">QQII", payload)
            must(self.sums.pop(block_id, None) == (sector, size), f"an ack for {block_id}")
            self.acked += 1
        elif command == BARRIER_ACK and ROLE == "source":
            (number,), (size,) = struct.unpack("=I", payload[:4]), struct.unpack(">I", payload[4:])
            must((number, size) == (10 * self.barriers + 9, 10), f"barrier ack {number} {size}")
            self.barriers += 1
        else:
            must(False, f"packet {command:#x} on the meta socket")

    def settled(self):
        """Whether all that is to happen has."""
        if ROLE == "target":
            return self.conn == CONNECTED
        return self.written and (self.acked, self.barriers) == (40, 4)

    def run(self):
        self.handshake()
        said = False
        while not (said and os.path.exists(STOP)):
            ready, _, _ = select.select([self.data.socket, self.meta.socket], [], [], 0.1)
            for which, handle in ((self.data, self.on_data), (self.meta, self.on_meta)):
                if which.socket in ready:
                    handle(*which.receive())
            if self.settled() and not said:
                print("settled", flush=True)
                said = True
        self.image.close()
        print(f"asked for {self.asked} blocks, got {self.wrote} writes, {len(self.missing)} missing")


Peer().run()
