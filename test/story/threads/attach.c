// SPDX-License-Identifier: Apache-2.0
// A publisher of thread contexts by OpenTelemetry's OTEP 4947 ("Thread-Local Variable"): built into the program, or as a library.

#ifdef LARGE
// Larger than the static TLS reserve of the dynamic linker, so that the variables of this library are allocated at first use in each
// thread; and with an alignment that moves those of a program.
_Alignas(128) __thread char before[(1 << 16) + 1] = {1};
#endif
#ifdef PROTECTED
__attribute__((visibility("protected")))
#endif
__thread void *otel_thread_ctx_v1;

void attach(void *context)
{
#ifdef LARGE
	before[sizeof(before) - 1] = 1;
#endif
	otel_thread_ctx_v1 = context;
}
