# SPDX-License-Identifier: Apache-2.0
# A job that publishes its resource as OpenTelemetry's OTEP 4719 specifies ("Publication Protocol"), prints its pid, and terminates: by
# abort(), or with the exit code in the second argument. The first argument is the kind of memory: memfd, or anonymous.
import ctypes
import os
import struct
import sys
import time

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk import resources

PROT_READ_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_DONTFORK = 3, 2, 32, 10
PR_SET_VMA, PR_SET_VMA_ANON_NAME = 0x53564D41, 0
NAME = b"OTEL_CTX"
HEADER = "<8sIIQQ"

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_char_p]

how, *code = sys.argv[1:]
mine = resources.Resource.create({"service.name": "published", "service.instance.id": str(os.getpid())})
payload = Resource(
    attributes=[KeyValue(key=key, value=AnyValue(string_value=str(value))) for key, value in mine.attributes.items()]
).SerializeToString()
size = os.sysconf("SC_PAGE_SIZE")
assert len(payload) < size - struct.calcsize(HEADER)
if how == "memfd":
    fd = os.memfd_create(NAME.decode())
    os.ftruncate(fd, size)
    at = libc.mmap(None, size, PROT_READ_WRITE, MAP_PRIVATE, fd, 0)
    os.close(fd)
else:
    at = libc.mmap(None, size, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
assert libc.madvise(at, size, MADV_DONTFORK) == 0
ctypes.memmove(at + struct.calcsize(HEADER), payload, len(payload))
header = struct.pack(HEADER, b"", 2, len(payload), time.time_ns(), at + struct.calcsize(HEADER))
ctypes.memmove(at, header, len(header))
ctypes.memmove(at, NAME, len(NAME))  # last
named = libc.prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, size, NAME) == 0
print(os.getpid(), "named" if named or how == "memfd" else "hidden", flush=True)
if code:
    sys.exit(int(code[0]))
os.abort()
