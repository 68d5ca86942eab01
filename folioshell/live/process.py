"""The processes of a scenario: real ones, forked from the recorder, each of which does operations as it is asked to.

Rules:
- Recorder and processes speak JSON over socket pairs, made before the first fork: every process inherits its end of
  all of them, and uses one. A process that loses the recorder exits.
- A process touches the arena with two instructions alone. A handler turns the SIGSEGV or SIGBUS of either into a
  result; a signal of any other instruction kills the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from folioshell.live import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE,
    CannotRecord,
    last_errno,
    libc,
    mapped,
)
from folioshell.live.format import ADVICES, PROTECTIONS, Op, Result, new_count

#: virtual address of the arena: 512 GiB aligned, below all that the system maps
ARENA = 0x1000_0000_0000

_MAP_FIXED, _MAP_FIXED_NOREPLACE = 0x10, 0x100000
_MREMAP_MAYMOVE, _MREMAP_FIXED, _MREMAP_DONTUNMAP = 1, 2, 4
_KIND_FLAGS = {
    "anon": MAP_PRIVATE | MAP_ANONYMOUS,
    "anon_shared": MAP_SHARED | MAP_ANONYMOUS,
    "file_private": MAP_PRIVATE,
}

_SYS_IO_URING_SETUP, _SYS_IO_URING_REGISTER = 425, 427
_IORING_REGISTER_BUFFERS, _IORING_UNREGISTER_BUFFERS = 0, 1
_SA_SIGINFO, _SA_NODEFER = 4, 0x40000000

_HELLO: Result = {"hello": True}
#: bytes of a message
_MESSAGE = 1 << 16
#: seconds that an operation may take, and a process to exit
_PATIENCE, _EXIT_PATIENCE = 60.0, 20.0


def _ended(failed: int) -> Result:
    return {"errno": last_errno()} if failed else {"ok": True}


class _ByteAccess:
    """One byte read or written, by machine code whose faults the process survives.

    The handler finds rax and rip at fixed offsets of the ucontext.

    Kernel: arch/x86/include/uapi/asm/sigcontext.h: struct sigcontext (v6.18)
    """

    def __init__(self) -> None:
        page = mapped(PAGE, 7)
        read, write, failed, handler = page, page + 16, page + 32, page + 64
        code = bytearray(b"\xcc" * 256)
        code[0:5] = b"\x8a\x07\x31\xc0\xc3"  # mov al,[rdi]; xor eax,eax; ret
        code[16:22] = b"\x40\x88\x37\x31\xc0\xc3"  # mov [rdi],sil; xor eax,eax; ret
        code[32:33] = b"\xc3"  # ret, with the number of the signal in eax
        body = (
            b"\x48\x8b\x82\xa8\x00\x00\x00"  # mov rax,[rdx+0xa8]: the saved rip
            b"\x48\xb9" + struct.pack("<Q", read) + b"\x48\x39\xc8\x74\x11"  # mov rcx,read; cmp rax,rcx; je ours
            b"\x48\xb9" + struct.pack("<Q", write) + b"\x48\x39\xc8\x74\x02"  # mov rcx,write; cmp rax,rcx; je ours
            b"\x0f\x0b"  # ud2: some other instruction faulted
            b"\x48\x63\xc7"  # ours: movsxd rax,edi: the signal
            b"\x48\x89\x82\x90\x00\x00\x00"  # mov [rdx+0x90],rax: the saved rax
            b"\x48\xb9"
            + struct.pack("<Q", failed)
            + b"\x48\x89\x8a\xa8\x00\x00\x00"  # mov rcx,failed; mov [rdx+0xa8],rcx
            b"\xc3"  # ret
        )
        code[64 : 64 + len(body)] = body
        ctypes.memmove(page, bytes(code), len(code))
        self.read = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(read)
        self.write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(write)
        # struct sigaction of the C library: handler, mask of 128 bytes, flags, restorer.
        action = struct.pack("<Q128sixxxxQ", handler, b"", _SA_SIGINFO | _SA_NODEFER, 0)
        for number in (signal.SIGSEGV, signal.SIGBUS):
            if libc().sigaction(int(number), action, None):
                raise CannotRecord(f"sigaction fails with {last_errno()}")


class _Worker:
    """What a process of a scenario is made of: it does one operation after another.

    Args:
        regions: region -> (virtual page from the arena's base, pages).
        files: name -> descriptor, the same in every process.
        sockets: the processes' ends of all socket pairs.
    """

    def __init__(
        self, regions: Mapping[str, tuple[int, int]], files: Mapping[str, int], sockets: list[socket.socket]
    ) -> None:
        self._regions = regions
        self._files = files
        self._sockets = sockets
        self._access = _ByteAccess()
        #: (address, pages) -> the io_urings in which this range is a registered buffer
        self._rings: dict[tuple[int, int], list[int]] = {}

    def serve(self) -> NoReturn:
        """Do what the recorder asks for until it wants the process to exit, or is gone itself."""
        own = self._sockets[0]
        self._send(own, _HELLO)
        while message := own.recv(_MESSAGE):
            op = json.loads(message)
            if op["op"] == "fork":
                pid = os.fork()
                if pid:
                    self._send(own, {"pid": pid})
                else:
                    own = self._sockets[op["channel"]]
                    self._send(own, _HELLO)
            elif op["op"] == "exit":
                self._send(own, {"ok": True})
                break
            else:
                ctypes.set_errno(0)
                self._send(own, _SYSCALLS[op["op"]](self, op))
        os._exit(0)

    @staticmethod
    def _send(own: socket.socket, message: Result) -> None:
        own.send(json.dumps(message).encode())

    def _place(self, region: str, page: int = 0) -> int:
        return ARENA + (self._regions[region][0] + page) * PAGE

    def _range(self, op: Op) -> tuple[int, int]:
        """Address and bytes of the range of an operation."""
        return self._place(op["region"], op["page"]), op["count"] * PAGE

    def mmap(self, op: Op) -> Result:
        """Map, and map over what is there (mmap_over); a THP advice follows the mapping."""
        over = op["op"] == "mmap_over"
        address = self._place(op["region"], op["page"] if over else 0)
        length = (op["count"] if over else op["pages"]) * PAGE
        flags = _KIND_FLAGS.get(op["kind"], MAP_SHARED)
        fd = -1 if flags & MAP_ANONYMOUS else self._files[op["file"]]
        flags |= _MAP_FIXED if over else _MAP_FIXED_NOREPLACE
        offset = op.get("file_offset_pages", 0) * PAGE
        if libc().mmap(address, length, PROTECTIONS[op["prot"]], flags, fd, offset) == MAP_FAILED:
            return {"errno": last_errno()}
        advice = op.get("thp", "default")
        if advice != "default" and libc().madvise(address, length, ADVICES[advice]):
            return {"ok": True, "thp_errno": last_errno()}
        return {"ok": True}

    def touch(self, op: Op) -> Result:
        """Access one byte of each page, in order; a write stores what no fresh page has."""
        address, length = self._range(op)
        byte = 1 + op["i"] % 250
        signals: list[list[Any]] = []
        for number, page in enumerate(range(address, address + length, PAGE)):
            raised = self._access.read(page) if op["access"] == "read" else self._access.write(page, byte)
            if raised:
                name = signal.Signals(raised).name
                if signals and signals[-1][2] == name and sum(signals[-1][:2]) == number:
                    signals[-1][1] += 1
                else:
                    signals.append([number, 1, name])
        return {"signals": signals} if signals else {"ok": True}

    def munmap(self, op: Op) -> Result:
        return _ended(libc().munmap(*self._range(op)))

    def mprotect(self, op: Op) -> Result:
        return _ended(libc().mprotect(*self._range(op), PROTECTIONS[op["prot"]]))

    def mlock(self, op: Op) -> Result:
        return _ended(libc().mlock(*self._range(op)))

    def munlock(self, op: Op) -> Result:
        return _ended(libc().munlock(*self._range(op)))

    def madvise(self, op: Op) -> Result:
        return _ended(libc().madvise(*self._range(op), ADVICES[op["advice"]]))

    def mremap(self, op: Op) -> Result:
        """Move a range to a new region, resize it there, or resize it in place (mresize without a new region)."""
        flags = target = 0
        if "new_region" in op:
            flags = _MREMAP_MAYMOVE | _MREMAP_FIXED | (_MREMAP_DONTUNMAP if op.get("dontunmap") else 0)
            target = self._place(op["new_region"])
        moved = libc().mremap(*self._range(op), new_count(op) * PAGE, flags, target)
        return _ended(moved == MAP_FAILED)

    def truncate(self, op: Op) -> Result:
        try:
            os.ftruncate(self._files[op["file"]], op["size"] * PAGE)
        except OSError as error:
            return {"errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
        return {"ok": True}

    def pin(self, op: Op) -> Result:
        """Pin a range long-term: it becomes a registered buffer of an io_uring of its own."""
        address, length = self._range(op)
        ring = libc().syscall(_SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
        if ring < 0:
            return {"refused": f"pin needs io_uring, which fails with {last_errno()} (see kernel.io_uring_disabled)"}
        vector = (ctypes.c_uint64 * 2)(address, length)
        if libc().syscall(_SYS_IO_URING_REGISTER, ring, _IORING_REGISTER_BUFFERS, vector, 1):
            failed = last_errno()
            os.close(ring)
            return {"errno": failed}
        self._rings.setdefault((address, op["count"]), []).append(ring)
        return {"ok": True}

    def unpin(self, op: Op) -> Result:
        """Drop the newest pin of exactly this range."""
        rings = self._rings.get((self._range(op)[0], op["count"]))
        if not rings:
            return {"errno": "EINVAL"}
        ring = rings.pop()
        failed = libc().syscall(_SYS_IO_URING_REGISTER, ring, _IORING_UNREGISTER_BUFFERS, None, 0)
        ended = _ended(failed)
        os.close(ring)
        return ended


#: operation -> what a process does; fork and exit are part of its loop
_SYSCALLS: dict[str, Callable[[_Worker, Op], Result]] = {
    "mmap": _Worker.mmap,
    "mmap_over": _Worker.mmap,
    "touch": _Worker.touch,
    "munmap": _Worker.munmap,
    "mprotect": _Worker.mprotect,
    "mlock": _Worker.mlock,
    "munlock": _Worker.munlock,
    "madvise": _Worker.madvise,
    "mremap": _Worker.mremap,
    "mresize": _Worker.mremap,
    "truncate": _Worker.truncate,
    "pin": _Worker.pin,
    "unpin": _Worker.unpin,
}

#: operations that processes can do
KNOWN = frozenset({*_SYSCALLS, "fork", "exit"})


class LiveProcess:
    """A process of a scenario as the recorder has it.

    Args:
        name: its name in the scenario.
        pid: its process ID.
        own: the recorder's end of its socket pair.
    """

    def __init__(self, name: str, pid: int, own: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self._socket = own
        self._pidfd = os.pidfd_open(pid)
        self.pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
        if self._receive(_PATIENCE) != _HELLO:
            raise CannotRecord(f"process {name} did not start")

    def page_table_kb(self) -> int:
        """The size of its page tables, in kB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8", errors="replace")
        return int(status.partition("VmPTE:")[2].split()[0])

    def open_object(self, start: int, nr: int) -> int:
        """The descriptor of what its VMA of ``nr`` pages from page ``start`` of the arena maps."""
        address = ARENA + start * PAGE
        return os.open(f"/proc/{self.pid}/map_files/{address:x}-{address + nr * PAGE:x}", os.O_RDONLY)

    def call(self, op: Op, patience: float = _PATIENCE) -> Result:
        """Let it do an operation; returns the result.

        Raises:
            CannotRecord: it died, or takes longer than ``patience`` seconds.
        """
        self._socket.send(json.dumps(op).encode())
        return self._receive(patience)

    def _receive(self, patience: float) -> Result:
        ready = select.select([self._socket.fileno(), self._pidfd], [], [], patience)[0]
        if self._socket.fileno() in ready and (message := self._socket.recv(_MESSAGE)):
            result: Result = json.loads(message)
            return result
        raise CannotRecord(f"process {self.name} {'died' if ready else f'did nothing for {patience:.0f} seconds'}")

    def exit(self, patience: float = _EXIT_PATIENCE) -> None:
        """Let it exit, and wait until it is gone; one that does not is killed."""
        try:
            self.call({"op": "exit"}, patience)
            self._wait(patience)
        except (CannotRecord, OSError):
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._wait(patience)
        os.close(self._pidfd)
        os.close(self.pagemap)

    def _wait(self, patience: float) -> None:
        if not select.select([self._pidfd], [], [], patience)[0]:
            raise CannotRecord(f"process {self.name} does not end")


class Channels:
    """Socket pairs between the recorder and the processes that a scenario can have.

    Args:
        nr: how many processes there can be, the first included.
    """

    def __init__(self, nr: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(nr)]
        self._own = [own for own, _ in pairs]
        self._others = [other for _, other in pairs]
        self._used = 0

    def start(self, name: str, regions: Mapping[str, tuple[int, int]], files: Mapping[str, int]) -> LiveProcess:
        """Fork the first process."""
        pid = os.fork()
        if not pid:
            try:
                gc.disable()
                for own in self._own:
                    own.close()
                _Worker(regions, files, self._others).serve()
            finally:
                os._exit(1)
        for other in self._others:
            other.close()
        return self._joined(name, pid)

    def fork(self, parent: LiveProcess, name: str) -> LiveProcess:
        """Let a process fork another."""
        return self._joined(name, parent.call({"op": "fork", "channel": self._used})["pid"])

    def _joined(self, name: str, pid: int) -> LiveProcess:
        own = self._own[self._used]
        self._used += 1
        return LiveProcess(name, pid, own)

    def close(self) -> None:
        """Close the recorder's ends; a process that is left exits."""
        for own in self._own:
            own.close()
