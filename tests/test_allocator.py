"""Freed memory is reused without page faults; settings of the user remain."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource
from semcom.allocator import keep_freed_memory
if {keep}:
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.memset.argtypes, libc.free.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t), (ctypes.c_void_p,)
for round in range(11):
    if round == 1:  # the first block is new in either case
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(2**26)
    libc.memset(block, 1, 2**26)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    return int(subprocess.check_output(command, env={**environment, **variables}))


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_freed_memory_is_reused_without_page_faults():
    returned = faults(keep=False)
    assert faults(keep=True) < returned / 5
    assert faults(keep=True, MALLOC_MMAP_THRESHOLD_="1048576") > returned / 2


COLLECTED = """
import atexit, gc, weakref
from semcom.allocator import collect_rarely
atexit.register(lambda: print(gc.get_freeze_count() > 10_000, cycle() is None))
collect_rarely()
class Node: pass
node = Node()
node.itself, cycle = node, weakref.ref(node)
del node
objects = [[] for _ in range(10_000)]
assert cycle() is not None  # Python's own setting would have found it by now
objects += [[] for _ in range(100_000)]
"""


def test_unused_cycles_are_collected_rarely_and_not_at_the_end_of_the_process():
    assert subprocess.check_output([sys.executable, "-c", COLLECTED], text=True).split() == ["True", "True"]
