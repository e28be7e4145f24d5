"""Stops one thread of another process, points its registers at an address, and lets it go on into a crash. x86-64, root."""
import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
GETREGS, SETREGS, ATTACH, DETACH = 12, 13, 16, 17
WALL = 0x40000000
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base"
         " ds es fs gs").split()
POINTED = "r15 r14 r13 r12 rbx r11 r10 r9 r8 rax rcx rdx rsi rdi".split()
is_possible = platform.machine() == "x86_64" and os.geteuid() == 0


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


def _ptrace(request, thread, address=None, data=None):
    if libc.ptrace(request, thread, address, data) != 0:
        raise OSError(ctypes.get_errno(), "ptrace %d" % request)


def thread_named(pid, start):
    """A thread by the beginning of its name."""
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, thread)) as name:
            if name.read().startswith(start):
                return int(thread)
    raise LookupError(start)


def trap_address(pid):
    """Where the program has ud2, the instruction of a Swift trap."""
    program = os.readlink("/proc/%d/exe" % pid)
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            columns = line.split()
            if "x" in columns[1] and columns[-1] == program:
                start, end = (int(x, 16) for x in columns[0].split("-"))
                memory.seek(start)
                return start + memory.read(end - start).index(b"\x0f\x0b")
    raise LookupError("ud2")


def crash(thread, pointer, signal=0, address=None):
    """Sends the thread into `address`, or a signal to it, while its registers point at `pointer`."""
    _ptrace(ATTACH, thread)
    os.waitpid(thread, WALL)
    registers = Registers()
    _ptrace(GETREGS, thread, None, ctypes.addressof(registers))
    for number, name in enumerate(POINTED):
        setattr(registers, name, pointer + 16 * number)
    registers.orig_rax = 2 ** 64 - 1  # no call to restart
    if address is not None:
        registers.rip = address
    _ptrace(SETREGS, thread, None, ctypes.addressof(registers))
    _ptrace(DETACH, thread, None, signal)
